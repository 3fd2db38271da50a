// Question: what does time cost: a timeout scope around a call, a fiber that sleeps?
// Baseline: none; a steady_clock::now() is printed beside them, for each scope needs one.
// Unit: ns per scope entered, armed and left while a million other timers are armed, median of the
// repetitions; ns of CPU, user and system, per sleep that ends, of fibers that sleep for 1 to 1,000
// ms each, again and again, for 3 s on one worker.
#include <chrono>
#include <cstdint>
#include <random>
#include <sys/resource.h>
#include <vector>

#include <benchmark/benchmark.h>

#include <weft/fiber.hpp>

#include "scheduler.hpp"

namespace {

using namespace std::chrono_literals;

void clock_read(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(std::chrono::steady_clock::now());
}

void timeout_scope(benchmark::State& state) {
  weft::run([&] {
    constexpr std::size_t armed = 1'000'000;
    auto& timers = weft::detail::scheduler::running()->scope_timers();
    std::vector<weft::detail::timer_node> others(armed);
    std::mt19937_64 random(1);
    const auto now = weft::clock::now();
    for (auto& each : others)
      timers.arm(each, now + 1h + std::chrono::milliseconds(random() % 120'000));
    for (auto _ : state) {
      const weft::timeout limit{30s};
      benchmark::DoNotOptimize(limit.deadline());
    }
    for (auto& each : others) timers.cancel(each);
  });
}

std::chrono::nanoseconds cpu_time() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto of = [](const timeval& time) {
    return std::chrono::seconds{time.tv_sec} + std::chrono::microseconds{time.tv_usec};
  };
  return of(used.ru_utime) + of(used.ru_stime);
}

void cpu_per_sleep(benchmark::State& state) {
  weft::run([&] {
    std::uint64_t sleeps = 0;
    bool running = true;
    std::vector<weft::fiber<>> sleepers;
    for (std::int64_t i = 0; i < state.range(0); ++i) {
      sleepers.push_back(weft::spawn([&, i] {
        std::minstd_rand random(static_cast<unsigned>(i));
        while (running) {
          weft::this_fiber::sleep_for(std::chrono::milliseconds{1 + random() % 1'000});
          ++sleeps;
        }
      }));
    }
    weft::this_fiber::sleep_for(1s);  // all stacks have been touched by then
    for (auto _ : state) {
      const auto before = cpu_time();
      const std::uint64_t sleeps_before = sleeps;
      weft::this_fiber::sleep_for(3s);
      const std::chrono::duration<double> used = cpu_time() - before;
      state.SetIterationTime(used.count() / static_cast<double>(sleeps - sleeps_before));
    }
    running = false;
    for (auto& each : sleepers) each.join();
  });
}

BENCHMARK(clock_read)->Repetitions(5)->ReportAggregatesOnly(true);
BENCHMARK(timeout_scope)->Repetitions(5)->ReportAggregatesOnly(true);
BENCHMARK(cpu_per_sleep)
    ->Arg(10'000)
    ->Arg(100'000)
    ->Iterations(1)
    ->Repetitions(3)
    ->UseManualTime()
    ->ReportAggregatesOnly(true);

}  // namespace
