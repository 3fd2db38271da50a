#include "explore.hpp"

#include <algorithm>
#include <ctime>
#include <memory>
#include <unordered_set>

#include "strategy.hpp"

namespace weft::model {
namespace {

// The steady clock is that of the runs.
std::chrono::nanoseconds real_time() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec};
}

struct outcome {
  std::size_t steps = 0;
  std::uint64_t fingerprint = 0;
};

outcome run_once(const model& which, strategy& how) {
  execution threads{which.name, how};
  which.run(threads);
  return {threads.steps(), threads.fingerprint()};
}

// What a process does only once happens here, so that the runs that follow are alike; returns how
// many steps a run takes.
std::size_t warm_up(const model& which) {
  const auto plain = given_schedule("0=0");
  run_once(which, *plain);
  const auto again = given_schedule("0=0");
  return run_once(which, *again).steps;
}

bool is_seed(const std::string& schedule) noexcept {
  return schedule.find_first_not_of("0123456789") == std::string::npos;
}

}  // namespace

exploration explore(const model& which, const limits& until) {
  const auto begun = real_time();
  const auto spent = [&] { return real_time() - begun; };
  const std::size_t usual_steps = warm_up(which);
  exploration result;
  std::unordered_set<std::uint64_t> seen;
  const auto run = [&](strategy& how) {
    seen.insert(run_once(which, how).fingerprint);
    ++result.runs;
  };
  // Whether that part of the limits is not used up yet.
  const auto is_left = [&](std::size_t part) {
    const bool enough = result.runs >= until.least_runs / part;
    const auto time = enough ? until.time : until.most_time;
    return result.runs < until.runs / part && spent() < time / part;
  };

  every_schedule systematic{until.preemptions};
  while (is_left(3)) {
    run(systematic);
    ++result.systematic;
    result.exhausted = !systematic.next();
    if (result.exhausted) break;
  }
  for (std::uint64_t seed = 1; is_left(1); ++seed) {
    run(*random_schedule(seed, usual_steps));
  }
  result.distinct = seen.size();
  result.too_few = result.runs < std::min(until.least_runs, until.runs);
  return result;
}

void replay(const model& which, const std::string& schedule) {
  const std::size_t usual_steps = warm_up(which);
  const auto how = is_seed(schedule) ? random_schedule(std::stoull(schedule), usual_steps)
                                     : given_schedule(schedule);
  run_once(which, *how);
}

}  // namespace weft::model
