// How a small program reports what became of it, in its exit code and in one line on stderr.
//
// Threads: for main() alone.
#pragma once

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace example {

/// Calls `body`, whose lines on stdout leave at once, into a pipe too. Returns the code to exit
/// with: a failure, after one line on stderr, for an exception or for output that was lost.
template <class Body>
int exit_code_of(const char* program, Body&& body) {
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
  try {
    std::forward<Body>(body)();
    if (std::fflush(stdout) != 0) {
      throw std::system_error(errno, std::system_category(), "cannot write the output");
    }
    // An earlier line failed: the stream remembers that, but not why.
    if (std::ferror(stdout) != 0) throw std::runtime_error("cannot write the output");
    return EXIT_SUCCESS;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", program, error.what());
    return EXIT_FAILURE;
  }
}

}  // namespace example
