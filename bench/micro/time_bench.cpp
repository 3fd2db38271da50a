// Question: what does time cost: a timeout scope around a call, a fiber that sleeps?
// Baseline: for a scope a steady_clock::now(), for each needs one. For sleepers the price of a
// tick: what the kernel charges a process that does nothing but wait for the next one in
// epoll_wait(2). All the timers of a tick share it, 100 of them with 10,000 sleepers of up to 200
// ms, and only 20 with as many of up to a second. Unit: ns per scope entered, armed and left while
// a million other timers are armed, median of the repetitions; ns of CPU, user and system, per
// tick, and per sleep that ends, of fibers that sleep again and again for 1 ms up to the second
// argument, for 3 s on one worker.
#include <chrono>
#include <cstdint>
#include <random>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>
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

void cpu_per_tick(benchmark::State& state) {
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{};
  for (auto _ : state) {
    constexpr int ticks = 2'000;
    const auto before = cpu_time();
    for (int i = 0; i < ticks; ++i) ::epoll_wait(epoll, &event, 1, 1);
    const std::chrono::duration<double> used = cpu_time() - before;
    state.SetIterationTime(used.count() / ticks);
  }
  ::close(epoll);
}

void cpu_per_sleep(benchmark::State& state) {
  weft::run([&] {
    std::uint64_t sleeps = 0;
    bool running = true;
    std::vector<weft::fiber<>> sleepers;
    for (std::int64_t i = 0; i < state.range(0); ++i) {
      sleepers.push_back(weft::spawn([&, i] {
        std::minstd_rand random(static_cast<unsigned>(i));
        const auto longest = static_cast<unsigned>(state.range(1));
        while (running) {
          weft::this_fiber::sleep_for(std::chrono::milliseconds{1 + random() % longest});
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
BENCHMARK(cpu_per_tick)->Iterations(1)->Repetitions(3)->UseManualTime()->ReportAggregatesOnly(true);
BENCHMARK(cpu_per_sleep)
    ->ArgNames({"sleepers", "longest_ms"})
    ->ArgsProduct({{10'000, 100'000}, {200, 1'000}})
    ->Iterations(1)
    ->Repetitions(3)
    ->UseManualTime()
    ->ReportAggregatesOnly(true);

}  // namespace
