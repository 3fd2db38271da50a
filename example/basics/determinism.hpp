// What the determinism programs share: how long each task pauses, how the order is shown, the
// command line.
//
// Threads: for the main thread alone.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <random>
#include <string>

#include <weft/tools/command_line.hpp>

namespace example {

struct determinism_options {
  int max_pause_ms = 20;
  std::optional<std::uint64_t> seed;
};

/// Parses the command line of the program `name` into `options`. Returns nothing when it may go on,
/// otherwise the code to exit with.
inline std::optional<int> parse_options(const std::string& name, determinism_options& options,
                                        int argc, char** argv) {
  constexpr int longest_pause_ms = 3'600'000;  // an hour
  weft::tools::command_line arguments{name,
                                      "Nine tasks with random pauses, one by one and concurrently"};
  arguments
      .add_number("--max-pause-ms", options.max_pause_ms,
                  {0, longest_pause_ms, "a number of milliseconds"},
                  "the longest pause of a task, in milliseconds")
      .shows_default();
  arguments.add_number("--seed", options.seed, {0, UINT64_MAX, "a seed"},
                       "choose pauses and order by this number, in virtual time");
  return arguments.parse(argc, argv);
}

/// The pauses of the tasks, one after the other.
class random_pauses {
public:
  explicit random_pauses(const determinism_options& options)
      : engine_(options.seed ? *options.seed : std::random_device{}()),
        range_ms_(0, options.max_pause_ms) {}

  std::chrono::milliseconds next() { return std::chrono::milliseconds{range_ms_(engine_)}; }

private:
  std::mt19937_64 engine_;
  std::uniform_int_distribution<int> range_ms_;
};

/// Shows a part of a line at once.
inline void show(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

}  // namespace example
