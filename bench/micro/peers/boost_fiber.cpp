// The column of Boost.Fiber 1.81: its own algorithm round_robin on one thread, no shared_work,
// stacks from its pool. The spinlocks stay: they are part of Debian's build of the library
// (BOOST_FIBERS_NO_ATOMICS changes its binary interface).
#include <chrono>
#include <climits>
#include <cstdint>
#include <deque>
#include <malloc.h>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>
#include <boost/fiber/buffered_channel.hpp>
#include <boost/fiber/condition_variable.hpp>
#include <boost/fiber/fiber.hpp>
#include <boost/fiber/fixedsize_stack.hpp>
#include <boost/fiber/mutex.hpp>
#include <boost/fiber/operations.hpp>
#include <boost/fiber/pooled_fixedsize_stack.hpp>
#include <boost/fiber/unbuffered_channel.hpp>

#include "rows.hpp"

namespace weft::bench {
namespace {

namespace fibers = boost::fibers;

constexpr const char* peer = "boost";

using stacks = fibers::pooled_fixedsize_stack;

template <class Stacks, class Function>
fibers::fiber start(Stacks& from, Function function) {
  return fibers::fiber{fibers::launch::post, std::allocator_arg, from, std::move(function)};
}

// Something that happens once, for one that waits.
class gate {
public:
  void wait() {
    std::unique_lock hold{lock_};
    opened_.wait(hold, [this] { return open_; });
  }

  void open() {
    const std::unique_lock hold{lock_};
    open_ = true;
    opened_.notify_one();
  }

private:
  fibers::mutex lock_;
  fibers::condition_variable opened_;
  bool open_ = false;
};

void yield_among(benchmark::State& state, std::size_t count, bool random) {
  stacks from{stack_bytes};
  bool running = true;
  turns all{count, [] { boost::this_fiber::yield(); }};
  std::deque<gate> gates(count - 1);
  std::vector<fibers::fiber> others;
  for (auto& each : gates) {
    others.push_back(start(from, [&] {
      each.wait();
      all.take_while(running);
    }));
  }
  boost::this_fiber::yield();  // all have come to their gates
  for (const std::size_t each : waking_order(gates.size(), random)) gates[each].open();
  all.take_measured(state);
  running = false;
  for (auto& each : others) each.join();
}

// `dispatch` runs the new one at once, which costs less here than `post`.
void spawn_and_join(benchmark::State& state) {
  stacks from{stack_bytes};
  for (auto _ : state) {
    fibers::fiber{fibers::launch::dispatch, std::allocator_arg, from, [] {}}.join();
  }
}

// With stacks from malloc() it takes half as long as with those of the pool.
void spawn_and_join_many(benchmark::State& state) {
  fibers::fixedsize_stack from{stack_bytes};
  std::vector<fibers::fiber> tasks(many);
  while (state.KeepRunningBatch(many)) {
    for (auto& each : tasks) each = start(from, [] {});
    for (auto& each : tasks) each.join();
  }
}

void round_trip(benchmark::State& state) {
  stacks from{stack_bytes};
  fibers::unbuffered_channel<int> there, back;
  auto echo = start(from, [&] {
    int value = 0;
    while (there.pop(value) == fibers::channel_op_status::success) back.push(value);
  });
  for (auto _ : state) {
    there.push(1);
    benchmark::DoNotOptimize(back.value_pop());
  }
  there.close();
  echo.join();
}

// It holds one less than its capacity, which must be a power of two.
void buffered_item(benchmark::State& state) {
  stacks from{stack_bytes};
  fibers::buffered_channel<int> items{channel_capacity};
  auto reader = start(from, [&] {
    int value = 0;
    while (items.pop(value) == fibers::channel_op_status::success) {
      benchmark::DoNotOptimize(value);
    }
  });
  for (auto _ : state) items.push(1);
  items.close();
  reader.join();
}

void mutex_hand_off(benchmark::State& state) {
  stacks from{stack_bytes};
  fibers::mutex lock;
  bool running = true;
  mutex_turns all{lock, [] { boost::this_fiber::yield(); }};
  std::vector<fibers::fiber> others;
  for (std::size_t i = 1; i < mutex_users; ++i) {
    others.push_back(start(from, [&] { all.take_while(running); }));
  }
  all.take_measured(state);
  running = false;
  for (auto& each : others) each.join();
}

double cpu_per_sleep(std::size_t sleepers) {
  stacks from{stack_bytes};
  std::uint64_t sleeps = 0;
  bool running = true;
  std::vector<fibers::fiber> all;
  for (std::size_t i = 0; i < sleepers; ++i) {
    all.push_back(start(from, [&, i] {
      sleep_lengths lengths{i};
      while (running) {
        boost::this_fiber::sleep_for(std::chrono::milliseconds{lengths.next_milliseconds()});
        ++sleeps;
      }
    }));
  }
  const double cost = cpu_of_a_sleep(sleeps, [](double seconds) {
    boost::this_fiber::sleep_for(std::chrono::duration_cast<std::chrono::nanoseconds>(
        std::chrono::duration<double>{seconds}));
  });
  running = false;
  for (auto& each : all) each.join();
  return cost;
}

}  // namespace

void add_boost_fiber() {
  ::mallopt(M_TRIM_THRESHOLD, INT_MAX);  // stacks come from malloc: do not give them back each time
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
  add_program(row::parked, peer, "tasks-boost-fiber", parked_arguments, parked_key, "");
}

}  // namespace weft::bench
