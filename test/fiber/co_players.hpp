// Coroutines beside the other kinds of tasks, for tests of what tasks share.
//
// Threads: the fiber that made a `co_players` starts and joins them.
#pragma once

#include <atomic>
#include <functional>
#include <ostream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <weft/co.hpp>

#include "players.hpp"

namespace weft::test {

enum class kind { coroutine_0, coroutine_1, fiber_0, fiber_1, thread };

inline constexpr kind kinds[] = {kind::coroutine_0, kind::coroutine_1, kind::fiber_0, kind::fiber_1,
                                 kind::thread};

/// Two tasks that share something, of which at least one is a coroutine.
struct co_pairing {
  const char* name;
  kind first;
  kind second;
};

inline constexpr co_pairing co_pairings[] = {
    {"coroutines_of_one_worker", kind::coroutine_0, kind::coroutine_0},
    {"coroutines_of_two_workers", kind::coroutine_0, kind::coroutine_1},
    {"coroutine_and_fiber", kind::coroutine_1, kind::fiber_1},
    {"fiber_and_coroutine", kind::fiber_1, kind::coroutine_1},
    {"coroutine_and_fiber_elsewhere", kind::coroutine_0, kind::fiber_1},
    {"fiber_and_coroutine_elsewhere", kind::fiber_0, kind::coroutine_1},
    {"coroutine_and_thread", kind::coroutine_1, kind::thread},
    {"thread_and_coroutine", kind::thread, kind::coroutine_1},
};

inline std::string name_of_pairing(const ::testing::TestParamInfo<co_pairing>& info) {
  return info.param.name;
}

inline std::ostream& operator<<(std::ostream& out, const co_pairing& which) {
  return out << which.name;
}

class co_players {
public:
  co_players() = default;
  co_players(const co_players&) = delete;
  co_players& operator=(const co_players&) = delete;

  ~co_players() { join(); }

  /// Starts `coroutine()`, or `blocking()` where that is no coroutine.
  template <class Blocking, class Coroutine>
  void start(kind where, Blocking blocking, Coroutine coroutine) {
    ++running_;
    if (where == kind::coroutine_0 || where == kind::coroutine_1) {
      tasks_.push_back(co::spawn_on(where == kind::coroutine_1 ? 1 : 0,
                                    [this, body = std::move(coroutine)]() -> co::task<> {
                                      co_await body();
                                      --running_;
                                    }));
      return;
    }
    auto counted = [this, body = std::move(blocking)] {
      body();
      --running_;
    };
    if (where == kind::thread) return void(threads_.emplace_back(std::move(counted)));
    tasks_.push_back(spawn_on(where == kind::fiber_1 ? 1 : 0, std::move(counted)));
  }

  /// Waits for all, letting the tasks of this worker run.
  void join() {
    while (running_ != 0) this_fiber::sleep_for(std::chrono::microseconds(100));
    for (auto& each : tasks_) each.join();
    for (auto& each : threads_) each.join();
    tasks_.clear();
    threads_.clear();
  }

private:
  std::atomic<int> running_ = 0;
  std::vector<fiber<>> tasks_;
  std::vector<std::thread> threads_;
};

}  // namespace weft::test
