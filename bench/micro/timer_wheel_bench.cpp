// Question: what do arming and cancelling a timer cost while a million others are armed, and what
// does a timer cost that is left to fire?
// Baseline: the same on a std::multimap, the usual ordered container for it.
// Unit: ns per arm and cancel, or per fired timer, median of the repetitions.
#include <chrono>
#include <cstdint>
#include <map>
#include <random>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include "timer_wheel.hpp"

namespace {

using std::chrono::milliseconds;
using weft::detail::timer_node;
using weft::detail::timer_wheel;
using time_point = timer_wheel::clock::time_point;

constexpr std::size_t armed = 1'000'000;
constexpr std::size_t rounds = 1 << 16;  // enough deadlines that no branch can be learnt
constexpr time_point epoch{};

// Timeouts of connections: up to two minutes ahead.
std::vector<milliseconds> random_deadlines(std::size_t count) {
  std::mt19937_64 random(1);
  std::vector<milliseconds> deadlines(count);
  for (milliseconds& deadline : deadlines) deadline = milliseconds(1 + random() % 120'000);
  return deadlines;
}

void timer_wheel_arm_cancel(benchmark::State& state) {
  timer_wheel wheel{epoch};
  std::vector<timer_node> nodes(armed);
  const auto standing = random_deadlines(armed);
  for (std::size_t i = 0; i < armed; ++i) wheel.arm(nodes[i], epoch + standing[i]);
  const auto deadlines = random_deadlines(rounds);
  timer_node node;
  std::size_t i = 0;
  for (auto _ : state) {
    wheel.arm(node, epoch + deadlines[i++ % rounds]);
    benchmark::DoNotOptimize(node.next);
    wheel.cancel(node);
  }
}

// The cost of touching a node and its neighbours out of a million, none of them in a cache.
void timer_wheel_move_random(benchmark::State& state) {
  timer_wheel wheel{epoch};
  std::vector<timer_node> nodes(armed);
  const auto standing = random_deadlines(armed);
  for (std::size_t i = 0; i < armed; ++i) wheel.arm(nodes[i], epoch + standing[i]);
  std::mt19937_64 random(2);
  std::vector<std::size_t> order(armed);
  for (std::size_t& index : order) index = random() % armed;
  std::size_t i = 0;
  for (auto _ : state) {
    const std::size_t index = order[i++ % armed];
    wheel.cancel(nodes[index]);
    wheel.arm(nodes[index], epoch + standing[index]);
  }
}

void multimap_arm_cancel(benchmark::State& state) {
  std::multimap<time_point, timer_node*> timers;
  for (const milliseconds deadline : random_deadlines(armed)) {
    timers.emplace(epoch + deadline, nullptr);
  }
  const auto deadlines = random_deadlines(rounds);
  timer_node node;
  std::size_t i = 0;
  for (auto _ : state) {
    const auto place = timers.emplace(epoch + deadlines[i++ % rounds], &node);
    benchmark::DoNotOptimize(place->second);
    timers.erase(place);
  }
}

// One tick an iteration of the loop, each fired timer armed again, as in a server whose
// connections are idle: every timer pays for its way down the levels.
void timer_wheel_fire(benchmark::State& state) {
  timer_wheel wheel{epoch};
  std::vector<timer_node> nodes(armed);
  const auto deadlines = random_deadlines(armed);
  for (std::size_t i = 0; i < armed; ++i) wheel.arm(nodes[i], epoch + deadlines[i]);
  time_point now = epoch;
  std::int64_t fired = 0;
  std::size_t next = 0;
  while (state.KeepRunningBatch(1024)) {
    for (std::size_t count = 0; count < 1024;) {
      now += milliseconds(1);
      count += wheel.expire(now, [&](timer_node& node) {
        wheel.arm(node, now + deadlines[next++ % armed]);
        ++fired;
      });
    }
  }
  state.SetItemsProcessed(fired);
}

void multimap_fire(benchmark::State& state) {
  std::multimap<time_point, std::size_t> timers;
  const auto deadlines = random_deadlines(armed);
  for (std::size_t i = 0; i < armed; ++i) timers.emplace(epoch + deadlines[i], i);
  time_point now = epoch;
  std::int64_t fired = 0;
  std::size_t next = 0;
  while (state.KeepRunningBatch(1024)) {
    for (std::size_t count = 0; count < 1024;) {
      now += milliseconds(1);
      while (!timers.empty() && timers.begin()->first <= now) {
        auto handle = timers.extract(timers.begin());
        handle.key() = now + deadlines[next++ % armed];
        timers.insert(std::move(handle));
        ++fired;
        ++count;
      }
    }
  }
  state.SetItemsProcessed(fired);
}

BENCHMARK(timer_wheel_arm_cancel)->Repetitions(5)->ReportAggregatesOnly(true);
BENCHMARK(multimap_arm_cancel)->Repetitions(5)->ReportAggregatesOnly(true);
BENCHMARK(timer_wheel_move_random)->Repetitions(5)->ReportAggregatesOnly(true);
BENCHMARK(timer_wheel_fire)->Repetitions(5)->ReportAggregatesOnly(true);
BENCHMARK(multimap_fire)->Repetitions(5)->ReportAggregatesOnly(true);

}  // namespace
