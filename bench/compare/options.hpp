// What a run of weft-compare is asked to do.
//
// Threads: a plain value, not changed once parsed.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cases.hpp"
#include "servers.hpp"

namespace weft::compare {

struct options {
  extent how_much = extent::standard;
  std::vector<load_case> cases;
  std::vector<server> servers;
  bool servers_are_named = false;  ///< by the user: then none of them may be missing
  std::uint32_t rounds = 0;
  std::uint32_t warm_up_rounds = 0;           ///< of short samples before them, which do not count
  std::chrono::duration<double> seconds{};    ///< that a sample measures
  std::chrono::duration<double> warm_up{};    ///< of load before it
  bool samples_are_as_long_as_asked = false;  ///< or shorter, if the budget demands it
  std::uint64_t seed = 0;                     ///< of the order of the servers in each round
  std::optional<std::string> json_file;
  std::optional<std::string> page_file;
  std::optional<std::string> results_file;     ///< in Markdown, of which one part is replaced
  bool list = false;                           ///< only say what there is
  std::optional<std::chrono::seconds> budget;  ///< after which the run ends, complete or not
};

/// Parses the arguments. Returns nothing when the run may go on, otherwise the code to exit with:
/// 0 after --help, 2 after a line on stderr that says what was wrong and what is accepted.
std::optional<int> parse_options(int argc, char** argv, options& settings);

}  // namespace weft::compare
