// Runs a model again and again, each time interleaved in another way.
//
// Threads: one at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "models.hpp"

namespace weft::model {

struct limits {
  std::size_t runs = 20'000;
  std::chrono::nanoseconds time = std::chrono::seconds{3};
  std::size_t least_runs = 0;  // past the time it goes on until there are so many
  std::chrono::nanoseconds most_time = std::chrono::seconds{180};  // but no longer than this
  int preemptions = 2;                                             // of the systematic part
};

struct exploration {
  std::size_t runs = 0;
  std::size_t distinct = 0;  // schedules that differ
  std::size_t systematic = 0;
  bool exhausted = false;  // no schedule with so few preemptions is left
  bool too_few = false;    // runs: less than was asked for at least, in the most time
};

/// First all schedules with few preemptions, as far as a third of the limits goes, then random
/// ones. A run that fails ends the process.
exploration explore(const model& which, const limits& until);

/// Repeats the run of that name.
void replay(const model& which, const std::string& schedule);

}  // namespace weft::model
