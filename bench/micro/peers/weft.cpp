// The column of weft: fibers on one worker, with the stacks and guards that they have by default.
#include <chrono>
#include <cstdint>
#include <deque>
#include <vector>

#include <benchmark/benchmark.h>

#include <weft/fiber.hpp>

#include "rows.hpp"

namespace weft::bench {
namespace {

constexpr const char* peer = "weft";

void yield_among(benchmark::State& state, std::size_t count, bool random) {
  weft::run([&] {
    bool running = true;
    turns all{count, [] { weft::this_fiber::yield(); }};
    std::deque<weft::event> gates(count - 1);
    std::vector<weft::fiber<>> others;
    for (auto& gate : gates) {
      others.push_back(weft::spawn([&] {
        gate.wait();
        all.take_while(running);
      }));
    }
    weft::this_fiber::yield();  // all have come to their gates
    for (const std::size_t each : waking_order(gates.size(), random)) gates[each].set();
    all.take_measured(state);
    running = false;
    for (auto& each : others) each.join();
  });
}

void spawn_and_join(benchmark::State& state) {
  weft::run([&] {
    for (auto _ : state) weft::spawn([] {}).join();
  });
}

void spawn_and_join_many(benchmark::State& state) {
  weft::run([&] {
    std::vector<weft::fiber<>> tasks(many);
    while (state.KeepRunningBatch(many)) {
      for (auto& each : tasks) each = weft::spawn([] {});
      for (auto& each : tasks) each.join();
    }
  });
}

void round_trip(benchmark::State& state) {
  weft::run([&] {
    weft::channel<int> there, back;
    auto echo = weft::spawn([&] {
      while (const auto value = there.receive()) back.send(*value);
    });
    for (auto _ : state) {
      there.send(1);
      benchmark::DoNotOptimize(back.receive());
    }
    there.close();
    echo.join();
  });
}

void buffered_item(benchmark::State& state) {
  weft::run([&] {
    weft::channel<int> items{channel_capacity};
    auto reader = weft::spawn([&] {
      while (const auto value = items.receive()) benchmark::DoNotOptimize(value);
    });
    for (auto _ : state) items.send(1);
    items.close();
    reader.join();
  });
}

void mutex_hand_off(benchmark::State& state) {
  weft::run([&] {
    weft::mutex lock;
    bool running = true;
    mutex_turns all{lock, [] { weft::this_fiber::yield(); }};
    std::vector<weft::fiber<>> others;
    for (std::size_t i = 1; i < mutex_users; ++i) {
      others.push_back(weft::spawn([&] { all.take_while(running); }));
    }
    all.take_measured(state);
    running = false;
    for (auto& each : others) each.join();
  });
}

double cpu_per_sleep(std::size_t sleepers) {
  return weft::run([sleepers] {
    std::uint64_t sleeps = 0;
    std::vector<weft::fiber<>> all;
    for (std::size_t i = 0; i < sleepers; ++i) {
      all.push_back(weft::spawn([&, i] {
        sleep_lengths lengths{i};
        std::error_code ec;
        while (!ec) {
          weft::this_fiber::sleep_for(std::chrono::milliseconds{lengths.next_milliseconds()}, ec);
          ++sleeps;
        }
      }));
    }
    const double cost = cpu_of_a_sleep(sleeps, [](double seconds) {
      weft::this_fiber::sleep_for(std::chrono::duration<double>{seconds});
    });
    for (auto& each : all) each.request_cancel();
    for (auto& each : all) each.join();
    return cost;
  });
}

}  // namespace

void add_weft() {
  add(row::yield_2, peer, [](auto& state) { yield_among(state, 2, false); });
  add(row::yield_100, peer, [](auto& state) { yield_among(state, 100, false); });
  add(row::yield_10000, peer, [](auto& state) { yield_among(state, 10'000, false); });
  add(row::yield_10000_random, peer, [](auto& state) { yield_among(state, 10'000, true); });
  add(row::spawn_and_join, peer, spawn_and_join);
  add(row::spawn_and_join_1000, peer, spawn_and_join_many);
  add(row::unbuffered, peer, round_trip);
  add(row::buffered, peer, buffered_item);
  add(row::mutex, peer, mutex_hand_off);
  add_in_process(row::sleep_10000, peer, [] { return cpu_per_sleep(10'000); });
  add_in_process(row::sleep_100000, peer, [] { return cpu_per_sleep(100'000); });
  add_program(row::parked, peer, "tasks-fibers", parked_arguments, parked_key, "");
}

}  // namespace weft::bench
