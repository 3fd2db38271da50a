// The standard streams of a program, which may have been closed, or full, when it was started.
//
// Threads: for main(), before there are others, but for write_out(): any.
#pragma once

#include <string>

namespace weft::tools {

/// What becomes of what is printed to a stdout that was closed: it is discarded, or each write
/// fails as before. On stderr it is discarded.
enum class closed_output { is_discarded, fails };

/// Puts /dev/null in the place of stdin, stdout and stderr where they are closed: no file or socket
/// that is opened later gets such a number, and with it what is meant for people.
void occupy_closed_streams(closed_output what) noexcept;

/// Prints `text` to stdout and flushes it. Returns false with errno of write(2) when it cannot.
bool write_out(const std::string& text) noexcept;

}  // namespace weft::tools
