// What plain threads hand to the workers of a runtime, and what comes back of it.
#include <array>
#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <weft/co.hpp>
#include <weft/fiber.hpp>

#include "players.hpp"
#include "support/runtime_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using weft::runtime;
using weft::co::task;
using weft::this_fiber::sleep_for;
using weft::this_fiber::yield;

class WorkersPost : public weft::test::runtime_test {};

void expect_cancelled(std::future<int>& future) {
  try {
    future.get();
    FAIL() << "nothing was thrown";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), weft::errc::cancelled);
  }
}

TEST_F(WorkersPost, what_is_posted_runs_on_a_fiber_of_worker_0) {
  runtime workers{{.workers = 2}};
  std::atomic<bool> posted = false;
  std::thread::id ran_on;
  std::thread other;

  workers.run([&] {
    other = std::thread([&] {
      workers.post([&] {
        ran_on = std::this_thread::get_id();
        yield();
        posted = true;
      });
    });
    while (!posted) sleep_for(100us);
  });
  other.join();

  EXPECT_EQ(ran_on, std::this_thread::get_id());
}

TEST_F(WorkersPost, what_is_posted_before_the_run_waits_for_it) {
  runtime workers;
  bool ran = false;
  workers.post([&] { ran = true; });
  auto future = workers.spawn([] { return 5; });
  EXPECT_FALSE(ran);

  workers.run([] { yield(); });

  EXPECT_TRUE(ran);
  EXPECT_EQ(future.get(), 5);
}

TEST_F(WorkersPost, a_future_gives_a_plain_thread_what_came_of_a_fiber) {
  runtime workers;
  std::thread other;

  workers.run([&] {
    std::atomic<bool> done = false;
    other = std::thread([&] {
      EXPECT_EQ(workers.spawn([] { return std::string("value"); }).get(), "value");
      EXPECT_THROW(workers.spawn([] { throw std::out_of_range("error"); }).get(),
                   std::out_of_range);
      done = true;
    });
    while (!done) sleep_for(100us);
  });
  other.join();
}

TEST_F(WorkersPost, coroutines_are_posted_and_give_futures_as_functions_do) {
  runtime workers{{.workers = 2}};
  auto answer = workers.spawn([]() -> task<int> {
    co_await weft::co::yield();
    co_return 17;
  });
  auto failure = workers.spawn([]() -> task<> {
    co_await weft::co::yield();
    throw std::out_of_range("error");
  });
  bool posted = false;
  workers.post([&posted]() -> task<> {
    co_await weft::co::yield();
    posted = true;
  });

  workers.run([&] {
    while (!posted) yield();
  });

  EXPECT_EQ(answer.get(), 17);
  EXPECT_THROW(failure.get(), std::out_of_range);
}

TEST_F(WorkersPost, a_future_of_a_coroutine_in_a_run_that_never_came_says_cancelled) {
  std::future<int> future;
  {
    runtime never_run;
    future = never_run.spawn([]() -> task<int> { co_return 1; });
  }

  expect_cancelled(future);
}

TEST_F(WorkersPost, a_runtime_that_has_ended_refuses_what_is_posted) {
  runtime workers;
  workers.run([] {});

  try {
    workers.post([] {});
    FAIL() << "it was accepted";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), weft::errc::closed);
  }
}

TEST_F(WorkersPost, a_future_of_a_run_that_never_came_says_cancelled) {
  std::future<int> future;
  {
    runtime workers;
    future = workers.spawn([] { return 1; });
  }

  expect_cancelled(future);
}

TEST_F(WorkersPost, a_future_of_what_a_destructor_spawns_in_the_runtimes_own_says_cancelled) {
  struct spawns_when_destroyed {
    runtime* target;
    std::future<int>& future;

    spawns_when_destroyed(runtime& where, std::future<int>& result)
        : target(&where), future(result) {}

    spawns_when_destroyed(spawns_when_destroyed&& other) noexcept
        : target(std::exchange(other.target, nullptr)), future(other.future) {}

    ~spawns_when_destroyed() {
      if (target != nullptr) future = target->spawn([] { return 1; });
    }
  };

  std::future<int> future;
  {
    runtime workers;
    workers.post([last_words = spawns_when_destroyed{workers, future}] {});
  }

  ASSERT_EQ(future.wait_for(0s), std::future_status::ready);
  EXPECT_THROW(future.get(), std::system_error);
}

TEST_F(WorkersPost, worker_0_refuses_its_own_fibers_too_once_main_has_returned) {
  std::error_code posted, spawned;
  runtime workers;

  workers.run([&] {
    weft::spawn([&] {
      std::error_code ec;
      sleep_for(24h, ec);
      try {
        workers.post([] {});
      } catch (const std::system_error& error) {
        posted = error.code();
      }
      auto late = weft::spawn_on(
          0, {}, [] {}, spawned);
    }).detach();
    yield();
  });

  // Told to a fiber that was cancelled with the runtime.
  EXPECT_EQ(posted, weft::errc::cancelled);
  EXPECT_EQ(spawned, weft::errc::cancelled);
}

TEST_F(WorkersPost, many_threads_post_at_once_and_nothing_is_lost) {
  runtime workers{{.workers = 2}};
  constexpr int threads = 4;
  constexpr int posts = 2'000;
  std::atomic<int> ran = 0;
  std::vector<std::thread> others;

  workers.run([&] {
    for (int t = 0; t < threads; ++t) {
      others.emplace_back([&] {
        for (int i = 0; i < posts; ++i) workers.post([&] { ++ran; });
      });
    }
    while (ran != threads * posts) sleep_for(100us);
  });
  for (auto& each : others) each.join();
}

// Counts how many of it there are.
class counted {
public:
  explicit counted(std::atomic<int>& count) : count_(count) { ++count_; }

  counted(const counted& other) : count_(other.count_) { ++count_; }

  counted& operator=(const counted&) = delete;

  ~counted() { --count_; }

private:
  std::atomic<int>& count_;
};

TEST_F(WorkersPost, what_has_been_posted_and_did_not_start_in_time_is_destroyed) {
  std::atomic<int> alive = 0;
  std::atomic<int> ran = 0;
  int accepted = 0;
  runtime workers;

  workers.run([&] {
    std::thread other{[&] {
      for (; accepted < 20; ++accepted) workers.post([&ran, here = counted{alive}] { ++ran; });
    }};
    other.join();  // blocks the worker: nothing has started when the main function returns
  });

  EXPECT_EQ(accepted, 20);
  EXPECT_EQ(ran, 0);
  EXPECT_EQ(alive, 0);
}

TEST_F(WorkersPost, threads_that_post_while_the_runtime_goes_down_leave_nothing_behind) {
  for (int round = 0; round < weft::test::stress_operations / 500; ++round) {
    std::atomic<int> alive = 0;
    std::atomic<int> ran = 0;
    std::vector<std::thread> others;
    runtime workers{{.workers = 2}};

    workers.run([&] {
      for (int i = 0; i < 3; ++i) {
        others.emplace_back([&] {
          std::error_code refused;
          while (!refused) {
            try {
              workers.post([&ran, here = counted{alive}] { ++ran; });
              while (alive > 200) std::this_thread::yield();
            } catch (const std::system_error& error) {
              refused = error.code();
            }
          }
          EXPECT_EQ(refused, weft::errc::closed);
        });
      }
      while (ran < round % 20) yield();
    });
    for (auto& each : others) each.join();

    EXPECT_EQ(alive, 0);
  }
}

// The request ends the run, and the runtime goes, before the call has returned.
TEST_F(WorkersPost, a_thread_may_stop_a_runtime_that_is_destroyed_at_once) {
  for (int round = 0; round < weft::test::stress_operations / 100; ++round) {
    auto workers = std::make_unique<runtime>();
    std::thread other;

    workers->run([&] {
      other = std::thread{[&] { workers->request_stop(); }};
      std::error_code ec;
      weft::event{}.wait(ec);
      EXPECT_EQ(ec, weft::errc::cancelled);
    });
    workers.reset();

    other.join();
  }
}

// What comes of it is known for each call: it is refused, or its future is ready after the run,
// with a result or with `cancelled`.
TEST_F(WorkersPost, threads_that_post_while_the_runtime_goes_down_all_get_an_answer) {
  for (int round = 0; round < weft::test::stress_operations / 500; ++round) {
    runtime workers{{.workers = 2}};
    std::atomic<int> ran = 0;
    std::atomic<int> posted = 0;
    std::array<std::vector<std::future<int>>, 3> accepted;
    std::vector<std::thread> others;

    workers.run([&] {
      for (auto& mine : accepted) {
        others.emplace_back([&] {
          std::error_code refused;
          while (!refused) {
            try {
              mine.push_back(workers.spawn([&] { return ++ran; }));
              // Not many more than are answered, or stacks run out.
              if (++posted - ran > 100) mine.back().wait_for(1ms);
            } catch (const std::system_error& error) {
              refused = error.code();
            }
          }
          EXPECT_EQ(refused, weft::errc::closed);
        });
      }
      while (ran < round % 20) yield();
    });
    for (auto& each : others) each.join();

    int results = 0;
    for (auto& mine : accepted) {
      for (auto& future : mine) {
        ASSERT_EQ(future.wait_for(0s), std::future_status::ready);
        try {
          future.get();
          ++results;
        } catch (const std::system_error& error) {
          EXPECT_EQ(error.code(), weft::errc::cancelled);
        }
      }
    }
    EXPECT_EQ(results, ran);
  }
}

}  // namespace
