// Tasks of all kinds for tests of what tasks share: fibers of one worker, of two, plain threads.
//
// Threads: the fiber that made a `players` starts and joins them.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <ostream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>

#include "support/runtime_fixture.hpp"

namespace weft::test {

enum class place { worker_0, worker_1, thread };

inline constexpr place places[] = {place::worker_0, place::worker_1, place::thread};

/// Where the two sides of a test run.
struct pairing {
  const char* name;
  place first;
  place second;
};

inline constexpr pairing pairings[] = {
    {"fibers_of_one_worker", place::worker_0, place::worker_0},
    {"fibers_of_two_workers", place::worker_0, place::worker_1},
    {"fiber_and_thread", place::worker_1, place::thread},
    {"thread_and_fiber", place::thread, place::worker_1},
    {"two_threads", place::thread, place::thread},
};

inline std::string name_of(const ::testing::TestParamInfo<pairing>& info) {
  return info.param.name;
}

inline std::ostream& operator<<(std::ostream& out, const pairing& which) {
  return out << which.name;
}

class players {
public:
  players() = default;
  players(const players&) = delete;
  players& operator=(const players&) = delete;

  ~players() { join(); }

  void start(place where, std::function<void()> body) {
    ++running_;
    auto counted = [this, body = std::move(body)] {
      body();
      --running_;
    };
    if (where == place::thread) return void(threads_.emplace_back(std::move(counted)));
    fibers_.push_back(spawn_on(where == place::worker_1 ? 1 : 0, std::move(counted)));
  }

  /// Waits for all, letting the fibers of this worker run.
  void join() {
    while (running_ != 0) this_fiber::sleep_for(std::chrono::microseconds(100));
    for (auto& each : fibers_) each.join();
    for (auto& each : threads_) each.join();
    fibers_.clear();
    threads_.clear();
  }

private:
  std::atomic<int> running_ = 0;
  std::vector<fiber<>> fibers_;
  std::vector<std::thread> threads_;
};

/// Waits until `condition()` holds, letting others run.
template <class Condition>
void wait_until(Condition condition) {
  while (!condition()) this_fiber::yield();
}

/// A generator for a stress test, whose seed a failure shows.
class seeded {
public:
  explicit seeded(unsigned seed) : trace_(__FILE__, __LINE__, "seed " + std::to_string(seed)) {
    random_.seed(seed);
  }

  unsigned below(unsigned bound) { return static_cast<unsigned>(random_() % bound); }

  std::chrono::microseconds short_time() { return std::chrono::microseconds(below(2'000)); }

private:
  ::testing::ScopedTrace trace_;
  std::mt19937_64 random_;
};

inline unsigned new_seed() { return std::random_device{}(); }

/// Operations of a stress test.
inline constexpr int stress_operations = under_tsan || under_asan ? 5'000 : 20'000;

}  // namespace weft::test
