// Takes one sample: a fresh server on its core, the load on the others, both gone afterwards; or a
// program that measures tasks by itself.
//
// Threads: for the only thread of the process.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "cases.hpp"
#include "child.hpp"
#include "cores.hpp"
#include "interrupt.hpp"
#include "sample.hpp"
#include "servers.hpp"

namespace weft::compare {

/// What all samples of a run have in common.
struct bench {
  std::string folder;  ///< of the programs
  core_plan cores;
  std::chrono::duration<double> seconds{};
  std::chrono::duration<double> warm_up{};
  interrupt& signals;
};

/// Returns how long a sample of `load` takes, more or less.
std::chrono::duration<double> expected_time(const bench& setup, const load_case& load);

/// Messages per second that are sent where the load has a fixed rate.
using offered_rate = std::optional<double>;

/// Measures `what` under `load`. Does not go on after `deadline`. A failure of the server or of the
/// load is in the sample's `error`. Throws `interrupted`.
sample measure(const bench& setup, const load_case& load, const server& what, offered_rate rate,
               steady::time_point deadline);

}  // namespace weft::compare
