// The texts that are compiled into weft-compare: the sources of the servers, and what the page is
// made of.
//
// Threads: constants.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace weft::compare {

/// Returns the text of a file, by its path in the repository. Throws std::out_of_range.
std::string_view text_of(std::string_view path);

/// Returns how many lines of these files hold more than a comment or a brace.
std::size_t lines_of_code(const std::vector<std::string>& paths);

}  // namespace weft::compare
