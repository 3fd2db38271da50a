// The rows of one copy of the library; compiled once for each, in its namespace.
#include "aids.hpp"

#include <string>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>

#include <weft/fiber.hpp>

namespace weft::bench {
namespace {

// All fibers in the same loop.
[[gnu::noinline]] void yield_often(std::size_t rounds) {
  for (std::size_t i = 0; i < rounds; ++i) weft::this_fiber::yield();
}

void yield_among(benchmark::State& state, std::size_t count) {
  const std::size_t rounds = 8192 / count;
  weft::run([&] {
    bool running = true;
    std::vector<weft::fiber<>> others;
    for (std::size_t i = 1; i < count; ++i) {
      others.push_back(weft::spawn([&] {
        while (running) yield_often(rounds);
      }));
    }
    // While this one has had its turn, so had each of the others.
    while (state.KeepRunningBatch(static_cast<benchmark::IterationCount>(rounds * count))) {
      yield_often(rounds);
    }
    running = false;
    for (auto& each : others) each.join();
  });
}

// Wakes the other, and waits until that one has done the same. An iteration is one of the two.
void park_and_wake(benchmark::State& state) {
  weft::run([&] {
    constexpr int batch = 1024;
    bool running = true;
    weft::event mine;
    weft::event others;
    const auto hand_over = [](weft::event& to, weft::event& from) {
      to.set();
      from.wait();
      from.reset();
    };
    auto other = weft::spawn([&] {
      others.wait();
      others.reset();
      while (running) hand_over(mine, others);
      mine.set();
    });
    while (state.KeepRunningBatch(batch)) {
      for (int i = 0; i < batch / 2; ++i) hand_over(others, mine);
    }
    running = false;
    hand_over(others, mine);
    other.join();
  });
}

// What differs is small: many short repetitions, so that no disturbance meets one copy alone.
void add(const std::string& name, void (*measure)(benchmark::State&), bool is_brief) {
  const auto on_own_thread = [measure](benchmark::State& state) {
    std::thread{[&] { measure(state); }}.join();
  };
  benchmark::RegisterBenchmark(name.c_str(), on_own_thread)
      ->Repetitions(is_brief ? 2 : 25)
      ->MinTime(is_brief ? 0.01 : 0.1);
}

}  // namespace

void add_rows(const char* copy, bool is_brief) {
  const std::string suffix = std::string{"/"} + copy;
  add(
      "yield_among_2" + suffix, [](auto& state) { yield_among(state, 2); }, is_brief);
  add(
      "yield_among_100" + suffix, [](auto& state) { yield_among(state, 100); }, is_brief);
  add("park_and_wake" + suffix, park_and_wake, is_brief);
}

}  // namespace weft::bench
