// What the programs of the five sleepers share: how long each sleeps, and the command line.
//
// Threads: for the main thread alone.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <string>

#include <weft/tools/command_line.hpp>

namespace example {

struct sleeper_options {
  bool in_virtual_time = false;
  std::optional<std::uint64_t> seed;
};

/// Parses the command line of the program `name` into `options`. Returns nothing when it may go on,
/// otherwise the code to exit with.
inline std::optional<int> parse_options(const std::string& name, sleeper_options& options, int argc,
                                        char** argv) {
  weft::tools::command_line arguments{name, "Five tasks sleep for random times under 5 s"};
  arguments.add_flag("--virtual-time", options.in_virtual_time,
                     "let the clock jump instead of waiting");
  arguments.add_number("--seed", options.seed, {0, UINT64_MAX, "a seed"},
                       "choose the times by this number: the same at every run");
  return arguments.parse(argc, argv);
}

/// How long the sleepers sleep, one after the other.
class random_sleeps {
public:
  explicit random_sleeps(const sleeper_options& options)
      : engine_(options.seed ? *options.seed : std::random_device{}()) {}

  std::chrono::milliseconds next() { return std::chrono::milliseconds{range_ms_(engine_)}; }

private:
  std::mt19937_64 engine_;
  std::uniform_int_distribution<int> range_ms_{1, 4'999};
};

}  // namespace example
