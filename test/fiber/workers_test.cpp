// Several workers: where fibers run, and what reaches them from other workers.
#include <array>
#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>
#include <weft/fiber/detail/wait.hpp>

#include "support/runtime_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using weft::runtime;
using weft::spawn;
using weft::spawn_anywhere;
using weft::spawn_on;
using weft::detail::wait_queue;
using weft::detail::wake_reason;
using weft::this_fiber::sleep_for;
using weft::this_fiber::yield;

constexpr unsigned four = 4;

class Workers : public weft::test::runtime_test {};

std::thread::id this_thread() { return std::this_thread::get_id(); }

TEST_F(Workers, there_may_be_1_to_1024) {
  for (const unsigned wrong : {0u, 1025u}) {
    try {
      const runtime refused{{.workers = wrong}};
      ADD_FAILURE() << wrong << " were accepted";
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code(), std::errc::invalid_argument);
      EXPECT_NE(std::string(error.what()).find("1 to 1,024"), std::string::npos) << error.what();
    }
  }
}

TEST_F(Workers, worker_0_is_the_thread_that_calls_run_and_the_others_differ) {
  const auto caller = this_thread();

  run(
      [&] {
        std::set<std::thread::id> threads;
        for (unsigned i = 0; i < four; ++i) {
          auto child = spawn_on(i, this_thread);
          child.join();
          threads.insert(child.result());
          EXPECT_EQ(child.result() == caller, i == 0);
        }
        EXPECT_EQ(threads.size(), four);
      },
      {.workers = four});
}

TEST_F(Workers, a_fiber_stays_where_it_was_spawned) {
  run(
      [] {
        auto child = spawn_on(1, [] {
          const auto first = this_thread();
          for (int i = 0; i < 100; ++i) {
            i % 10 == 0 ? sleep_for(100us) : yield();
            if (this_thread() != first) return false;
          }
          return true;
        });
        child.join();
        EXPECT_TRUE(child.result());
      },
      {.workers = 2});
}

TEST_F(Workers, a_plain_spawn_stays_on_the_worker_of_the_spawner) {
  run(
      [] {
        auto there = spawn_on(1, [] {
          auto child = spawn(this_thread);
          child.join();
          return child.result() == this_thread();
        });
        there.join();
        EXPECT_TRUE(there.result());
      },
      {.workers = 2});
}

TEST_F(Workers, one_that_does_not_exist_is_an_error_that_says_how_many_there_are) {
  run(
      [] {
        try {
          spawn_on(2, [] {}).join();
          ADD_FAILURE() << "nothing was thrown";
        } catch (const std::system_error& error) {
          EXPECT_EQ(error.code(), std::errc::invalid_argument);
          EXPECT_NE(std::string(error.what()).find("has 2"), std::string::npos) << error.what();
        }
        std::error_code ec;
        EXPECT_FALSE(spawn_on(
                         2, {}, [] {}, ec)
                         .joinable());
        EXPECT_EQ(ec, std::errc::invalid_argument);
      },
      {.workers = 2});
}

TEST_F(Workers, a_fiber_spawned_anywhere_goes_where_there_are_fewest) {
  run(
      [] {
        std::vector<weft::fiber<>> parked;
        std::vector<std::thread::id> ran_on(four);
        std::atomic<unsigned> arrived = 0;
        for (unsigned i = 0; i < four; ++i) {
          parked.push_back(spawn_anywhere([&ran_on, &arrived, i] {
            ran_on[i] = this_thread();
            ++arrived;
            std::error_code ec;
            sleep_for(24h, ec);
          }));
          while (arrived != i + 1) yield();
        }
        EXPECT_EQ(std::set(ran_on.begin(), ran_on.end()).size(), four);
      },
      {.workers = four});
}

TEST_F(Workers, a_fiber_that_was_joined_counts_no_more_where_it_was) {
  run(
      [] {
        const auto mine = this_thread();
        weft::event done;
        auto parked = spawn([&] { done.wait(); });
        for (int i = 0; i < 1'000; ++i) {
          auto elsewhere = spawn_anywhere(this_thread);
          elsewhere.join();
          ASSERT_NE(elsewhere.result(), mine) << "round " << i;
        }
        done.set();
        parked.join();
      },
      {.workers = 2});
}

TEST_F(Workers, a_fiber_on_its_way_counts_where_it_goes) {
  std::array<std::atomic<int>, 2> ran_on{};
  run(
      [&] {
        std::atomic<bool> spinning = false;
        std::atomic<bool> enough = false;
        auto busy = spawn_on(1, [&] {
          spinning = true;
          while (!enough) std::this_thread::yield();
        });
        while (!spinning) yield();
        const auto mine = this_thread();
        weft::task_group group;
        for (int i = 0; i < 99; ++i) {
          group.spawn_anywhere([&] { ++ran_on[this_thread() == mine ? 0 : 1]; });
        }
        enough = true;
        group.join();
        busy.join();
      },
      {.workers = 2});

  EXPECT_EQ(ran_on[0], 50);
  EXPECT_EQ(ran_on[1], 49);  // and the busy one
}

TEST_F(Workers, results_and_exceptions_come_back_from_another_worker) {
  run(
      [] {
        auto text = spawn_on(1, [] { return std::make_unique<std::string>("from afar"); });
        auto failure = spawn_on(1, []() -> int { throw std::out_of_range("afar"); });
        text.join();
        failure.join();

        EXPECT_EQ(*text.result(), "from afar");
        EXPECT_THROW(failure.result(), std::out_of_range);
      },
      {.workers = 2});
}

TEST_F(Workers, a_fiber_is_joined_from_several_workers_at_once) {
  run(
      [] {
        std::atomic<bool> may_end = false;
        auto child = spawn_on(1, [&] {
          while (!may_end) sleep_for(100us);
          return 7;
        });
        std::vector<weft::fiber<int>> joiners;
        for (unsigned i = 0; i < four; ++i) {
          joiners.push_back(spawn_on(i, [&] {
            child.join();
            return child.result();
          }));
        }
        may_end = true;
        for (auto& each : joiners) {
          each.join();
          EXPECT_EQ(each.result(), 7);
        }
      },
      {.workers = four});
}

TEST_F(Workers, a_wait_is_cancelled_from_another_worker) {
  run(
      [] {
        std::atomic<bool> waits = false;
        std::error_code seen;
        auto child = spawn_on(1, [&] {
          waits = true;
          sleep_for(24h, seen);
        });
        while (!waits) yield();

        child.request_cancel();
        child.join();

        EXPECT_EQ(seen, weft::errc::cancelled);
      },
      {.workers = 2});
}

// Nor does what need not wait let it through: whoever has cancelled it may rely on that.
TEST_F(Workers, a_fiber_that_was_cancelled_from_elsewhere_transfers_nothing) {
  run(
      [] {
        std::atomic<bool> runs = false;
        std::atomic<bool> was_cancelled = false;
        weft::semaphore available{1};
        std::error_code seen;
        auto child = spawn_on(1, [&] {
          runs = true;
          while (!was_cancelled) {  // without a call of weft
          }
          available.acquire(seen);
        });
        while (!runs) yield();

        child.request_cancel();
        was_cancelled = true;
        child.join();

        EXPECT_EQ(seen, weft::errc::cancelled);
        EXPECT_TRUE(available.try_acquire());
      },
      {.workers = 2});
}

TEST_F(Workers, the_handle_of_a_fiber_elsewhere_cancels_and_waits_when_it_goes) {
  run(
      [] {
        std::atomic<bool> started = false;
        bool unwound = false;
        {
          auto child = spawn_on(1, [&] {
            started = true;
            std::error_code ec;
            sleep_for(24h, ec);
            unwound = true;
          });
          while (!started) yield();
        }
        EXPECT_TRUE(unwound);
      },
      {.workers = 2});
}

// Each of two fibers wakes the other, as often as `rounds` says.
void ping_pong(unsigned first_worker, unsigned second_worker, int rounds) {
  wait_queue ping, pong;
  std::atomic<int> balls = 0;
  const auto wait_for = [](wait_queue& queue, auto&& condition) {
    for (;;) {
      queue.lock.lock();
      if (condition()) break;
      weft::detail::wait(queue.list, queue.lock, weft::detail::no_deadline,
                         weft::detail::cancellation::honoured);
    }
    queue.lock.unlock();
  };
  const auto play = [&](wait_queue& mine, wait_queue& other, int parity) {
    for (int i = 0; i < rounds; ++i) {
      wait_for(mine, [&] { return balls % 2 == parity; });
      other.lock.lock();
      ++balls;
      other.lock.unlock();
      other.wake_one(wake_reason::ready);
    }
  };
  auto one = spawn_on(first_worker, [&] { play(ping, pong, 0); });
  auto two = spawn_on(second_worker, [&] { play(pong, ping, 1); });
  one.join();
  two.join();
  EXPECT_EQ(balls, 2 * rounds);
}

TEST_F(Workers, fibers_of_two_workers_wake_each_other) {
  run([] { ping_pong(0, 1, 20'000); }, {.workers = 2});
  run([] { ping_pong(1, 2, 20'000); }, {.workers = 3});
}

TEST_F(Workers, a_plain_thread_joins_a_fiber_and_is_woken) {
  run(
      [] {
        auto child = spawn_on(1, [] {
          sleep_for(1ms);
          return 3;
        });
        int seen = 0;
        std::thread other{[&] {
          child.join();
          seen = child.result();
        }};
        other.join();
        EXPECT_EQ(seen, 3);
      },
      {.workers = 2});
}

TEST_F(Workers, a_plain_thread_waits_with_a_deadline) {
  wait_queue queue;
  const auto deadline = std::chrono::steady_clock::now() + 2ms;

  EXPECT_EQ(weft::detail::wait(queue, deadline), wake_reason::timed_out);

  EXPECT_GE(std::chrono::steady_clock::now(), deadline);
  EXPECT_TRUE(queue.empty());
}

TEST_F(Workers, two_runtimes_of_several_workers_live_side_by_side) {
  const auto count = [this] {
    std::atomic<int> done = 0;
    run(
        [&] {
          std::vector<weft::fiber<>> fibers;
          for (unsigned i = 0; i < 100; ++i) {
            fibers.push_back(spawn_on(i % 3, [&] {
              sleep_for(100us);
              ++done;
            }));
          }
          for (auto& each : fibers) each.join();
        },
        {.workers = 3});
    return done.load();
  };
  auto other = std::async(std::launch::async, count);

  EXPECT_EQ(count(), 100);
  EXPECT_EQ(other.get(), 100);
}

TEST_F(Workers, a_runtime_runs_again_with_new_threads) {
  runtime workers{{.workers = 3}};
  for (int i = 0; i < 20; ++i) {
    const int sum = workers.run([] {
      auto one = spawn_on(1, [] { return 1; });
      auto two = spawn_on(2, [] { return 2; });
      one.join();
      two.join();
      return one.result() + two.result();
    });
    EXPECT_EQ(sum, 3);
  }
}

}  // namespace
