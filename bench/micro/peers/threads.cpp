// The column of threads: std::thread and std::mutex, all on one processor, as the tasks of the
// others are.
#include <atomic>
#include <cstdint>
#include <mutex>
#include <sched.h>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>

#include "rows.hpp"

namespace weft::bench {
namespace {

constexpr const char* peer = "threads";

// The calling thread stays where it is, and so do those that it starts.
void stay_on_this_processor() {
  cpu_set_t here;
  CPU_ZERO(&here);
  CPU_SET(static_cast<unsigned>(::sched_getcpu()), &here);
  ::sched_setaffinity(0, sizeof here, &here);
}

void spawn_and_join(benchmark::State& state) {
  stay_on_this_processor();
  for (auto _ : state) std::thread{[] {}}.join();
}

void spawn_and_join_many(benchmark::State& state) {
  stay_on_this_processor();
  std::vector<std::thread> tasks(many);
  while (state.KeepRunningBatch(many)) {
    for (auto& each : tasks) each = std::thread{[] {}};
    for (auto& each : tasks) each.join();
  }
}

// Nobody hands a std::mutex on: who unlocks it may have it again, for as many turns as it likes. So
// each turn is counted, whoever has it.
void mutex_hand_off(benchmark::State& state) {
  stay_on_this_processor();
  std::mutex lock;
  std::atomic<bool> running = true;  // the join follows: nothing else depends on it
  std::int64_t turns = 0;
  const auto turn = [&] {
    const std::lock_guard hold{lock};
    std::this_thread::yield();
    return ++turns;
  };
  std::vector<std::thread> others;
  for (std::size_t i = 1; i < mutex_users; ++i) {
    others.emplace_back([&] {
      while (running) turn();
    });
  }
  const std::int64_t first = turn();
  std::int64_t last = first;
  for (auto _ : state) last = turn();
  state.SetItemsProcessed(last - first);
  running = false;
  for (auto& each : others) each.join();
}

}  // namespace

void add_threads() {
  add(row::spawn_and_join, peer, spawn_and_join)->MeasureProcessCPUTime();
  add(row::spawn_and_join_1000, peer, spawn_and_join_many)->MeasureProcessCPUTime();
  add(row::mutex, peer, mutex_hand_off)->MeasureProcessCPUTime();
  add_program(row::parked, peer, "tasks-threads", parked_arguments, parked_key, "");
}

}  // namespace weft::bench
