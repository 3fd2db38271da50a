// What the cooperative programs share: the lines with the time, the work, the command line.
//
// Threads: for the main thread alone.
#pragma once

#include <chrono>
#include <cstdio>
#include <optional>
#include <string>

#include <weft/tools/command_line.hpp>

namespace example {

namespace detail {
inline const std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
}

/// Prints what happens and when.
inline void say(const char* what) {
  const std::chrono::duration<double> since = std::chrono::steady_clock::now() - detail::start;
  std::printf("%s at %.1f seconds\n", what, since.count());
}

inline bool is_prime(int number) {
  for (int divisor = 2; divisor * divisor <= number; ++divisor) {
    if (number % divisor == 0) return false;
  }
  return number > 1;
}

/// Parses the command line of the program `name` into `wait`, how long each of the two waits.
/// Returns nothing when it may go on, otherwise the code to exit with.
inline std::optional<int> parse_wait(const std::string& name, const std::string& description,
                                     std::chrono::milliseconds& wait, int argc, char** argv) {
  constexpr int longest_wait_ms = 3'600'000;  // an hour
  int wait_ms = 2000;
  weft::tools::command_line arguments{name, description};
  arguments
      .add_number("--wait-ms", wait_ms, {0, longest_wait_ms, "a number of milliseconds"},
                  "how long each of the two waits, in milliseconds")
      .shows_default();
  const auto code = arguments.parse(argc, argv);
  wait = std::chrono::milliseconds{wait_ms};
  return code;
}

}  // namespace example
