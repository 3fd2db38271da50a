// The lock that favours a worker: it excludes whoever comes, before, during and after the favour.
#include <atomic>
#include <deque>
#include <mutex>
#include <thread>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>
#include <weft/fiber/detail/biased_lock.hpp>

#include "fiber/players.hpp"
#include "support/runtime_fixture.hpp"

namespace {

using weft::detail::biased_lock;
using weft::test::place;
using weft::test::players;

class BiasedLock : public weft::test::runtime_test {};

// Counts, not atomically, what it guards.
struct guarded_count {
  biased_lock lock;
  int value = 0;

  void add() {
    const std::lock_guard hold{lock};
    ++value;
  }
};

TEST_F(BiasedLock, is_taken_again_and_again_by_the_worker_that_was_first) {
  run([] {
    guarded_count count;

    for (int i = 0; i < 1'000; ++i) count.add();

    EXPECT_EQ(count.value, 1'000);
  });
}

TEST_F(BiasedLock, is_a_plain_lock_for_threads_without_a_worker) {
  guarded_count count;
  std::thread other{[&] {
    for (int i = 0; i < 10'000; ++i) count.add();
  }};

  for (int i = 0; i < 10'000; ++i) count.add();
  other.join();

  EXPECT_EQ(count.value, 20'000);
}

TEST_F(BiasedLock, a_thread_waits_until_the_favoured_worker_is_out) {
  run([] {
    guarded_count count;
    count.lock.lock();
    std::atomic<bool> done = false;
    std::thread other{[&] {
      count.add();
      done = true;
    }};
    for (int i = 0; i < 100; ++i) std::this_thread::yield();
    EXPECT_FALSE(done);

    count.lock.unlock();
    other.join();

    count.add();
    EXPECT_EQ(count.value, 2);
  });
}

TEST_F(BiasedLock, the_worker_that_was_favoured_waits_for_others_afterwards) {
  run([] {
    guarded_count count;
    count.add();
    std::atomic<bool> is_in = false;
    std::atomic<bool> may_go = false;
    std::thread other{[&] {
      const std::lock_guard hold{count.lock};
      is_in = true;
      while (!may_go) std::this_thread::yield();
      ++count.value;
    }};
    while (!is_in) std::this_thread::yield();
    std::thread opener{[&] { may_go = true; }};

    count.add();
    other.join();
    opener.join();

    EXPECT_EQ(count.value, 3);
  });
}

// Favours end over and over: each round has a fresh lock, until no more are given, and after.
TEST_F(BiasedLock, excludes_workers_and_threads_while_favours_end) {
  run(
      [] {
        constexpr int rounds = 100;
        constexpr int additions = weft::test::stress_operations / 40;
        std::deque<guarded_count> counts(rounds);
        std::atomic<int> ready = 0;
        players all;
        for (const place where : weft::test::places) {
          all.start(where, [&] {
            int round = 0;
            for (guarded_count& each : counts) {
              ++round;
              ++ready;
              while (ready < round * 3) weft::this_fiber::yield();
              for (int i = 0; i < additions; ++i) each.add();
            }
          });
        }
        all.join();

        for (const guarded_count& each : counts) EXPECT_EQ(each.value, 3 * additions);
      },
      {.workers = 2});
}

TEST_F(BiasedLock, survives_the_runtime_whose_worker_it_favoured) {
  guarded_count count;
  for (int i = 0; i < 3; ++i) {
    run([&] { count.add(); });
    count.add();
  }

  EXPECT_EQ(count.value, 6);
}

}  // namespace
