#include "strangers.hpp"

#include <algorithm>
#include <unistd.h>

namespace weft::compare {
namespace {

core_set all_cores(const core_plan& plan) {
  core_set cores = plan.server;
  if (!plan.shared()) cores.insert(cores.end(), plan.load.begin(), plan.load.end());
  return cores;
}

}  // namespace

stranger_watch::stranger_watch(const core_plan& plan) : cores_{all_cores(plan)}, begin_{read()} {}

stranger_watch::reading stranger_watch::read() const {
  return {use_of(cores_), cpu_time_of(::getpid()).value_or(std::chrono::nanoseconds{}),
          network_threads_cpu(cores_), std::chrono::steady_clock::now()};
}

double stranger_watch::fraction(std::chrono::nanoseconds ours) const {
  const reading end = read();
  const auto used = (end.cores.busy - begin_.cores.busy) + (end.cores.stolen - begin_.cores.stolen);
  const auto known = ours + (end.own - begin_.own) + (end.network - begin_.network);
  const std::chrono::duration<double> strange = used - known;
  const std::chrono::duration<double> passed = end.when - begin_.when;
  return passed.count() > 0 ? std::max(0.0, strange / passed) : 0;
}

}  // namespace weft::compare
