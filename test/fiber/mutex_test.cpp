// The mutex: who gets it, when, and what is left of a wait that gave up.
#include <cstddef>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <weft/fiber/error.hpp>
#include <weft/fiber/mutex.hpp>

#include "players.hpp"

namespace {

using namespace std::chrono_literals;
using weft::mutex;
using weft::spawn;
using weft::test::pairing;
using weft::test::players;
using weft::this_fiber::yield;

class Mutex : public weft::test::runtime_test {};

class MutexBetween : public Mutex, public testing::WithParamInterface<pairing> {};

using MutexDeath = Mutex;

INSTANTIATE_TEST_SUITE_P(Pairings, MutexBetween, testing::ValuesIn(weft::test::pairings),
                         weft::test::name_of);

TEST_F(Mutex, works_with_the_guards_of_the_standard_library) {
  run([] {
    mutex one, two;
    {
      const std::lock_guard hold{one};
      EXPECT_FALSE(one.try_lock());
    }
    {
      const std::scoped_lock both{one, two};
      EXPECT_FALSE(two.try_lock());
    }
    std::unique_lock timed{one, 1ms};
    EXPECT_TRUE(timed.owns_lock());
  });
}

TEST_F(Mutex, is_handed_on_in_the_order_in_which_fibers_came) {
  run([] {
    mutex lock;
    std::vector<int> order;
    std::vector<weft::fiber<>> fibers;
    lock.lock();
    for (int i = 0; i < 5; ++i) {
      fibers.push_back(spawn([&, i] {
        const std::lock_guard hold{lock};
        order.push_back(i);
      }));
    }
    yield();

    lock.unlock();
    EXPECT_FALSE(lock.try_lock());  // it belongs to the first already
    for (auto& each : fibers) each.join();

    EXPECT_EQ(order, (std::vector{0, 1, 2, 3, 4}));
    EXPECT_TRUE(lock.try_lock());
    lock.unlock();
  });
}

TEST_F(Mutex, locked_again_by_its_holder_is_an_error) {
  run([] {
    mutex lock;
    const std::lock_guard hold{lock};
    std::error_code ec;

    lock.lock(ec);
    EXPECT_EQ(ec, std::errc::resource_deadlock_would_occur);
    EXPECT_FALSE(lock.try_lock_for(1h, ec));
    EXPECT_EQ(ec, std::errc::resource_deadlock_would_occur);
    EXPECT_THROW(lock.lock(), std::system_error);
    EXPECT_FALSE(lock.try_lock());
  });
}

TEST_F(Mutex, a_holder_that_others_wait_for_is_told_so_too) {
  run([] {
    mutex lock;
    lock.lock();
    auto waiting = spawn([&] { const std::lock_guard hold{lock}; });
    yield();
    std::error_code ec;

    lock.lock(ec);

    EXPECT_EQ(ec, std::errc::resource_deadlock_would_occur);
    lock.unlock();
    waiting.join();
  });
}

TEST_F(Mutex, a_timed_lock_gives_up_and_leaves_no_trace) {
  run([] {
    mutex lock;
    lock.lock();
    auto child = spawn([&] {
      std::error_code ec;
      EXPECT_FALSE(lock.try_lock_for(1ms, ec));
      EXPECT_EQ(ec, weft::errc::timed_out);
      EXPECT_FALSE(lock.try_lock_for(1ms));
    });
    child.join();

    lock.unlock();

    EXPECT_TRUE(lock.try_lock());
    lock.unlock();
  });
}

TEST_F(Mutex, a_timed_lock_of_no_or_negative_length_tries_once) {
  run([] {
    mutex lock;
    EXPECT_TRUE(lock.try_lock_for(-1h));
    auto child = spawn([&] {
      for (const auto length : {0s, -5s}) EXPECT_FALSE(lock.try_lock_for(length));
    });
    child.join();
    lock.unlock();
  });
}

TEST_F(Mutex, a_cancelled_fiber_locks_it_plainly_but_not_with_an_error_code) {
  run([] {
    mutex lock;
    auto child = spawn([&] {
      while (!weft::this_fiber::cancel_requested()) yield();
      std::error_code ec;
      lock.lock(ec);
      EXPECT_EQ(ec, weft::errc::cancelled);
      EXPECT_THROW(lock.try_lock_for(1h), std::system_error);
      EXPECT_TRUE(lock.try_lock());
      lock.unlock();
      const std::lock_guard hold{lock};
    });
    yield();
    child.request_cancel();
    child.join();
  });
}

TEST_F(Mutex, is_handed_on_by_a_holder_that_is_cancelled) {
  run([] {
    mutex lock;
    bool handed_on = false;
    auto holder = spawn([&] {
      const std::lock_guard hold{lock};
      while (!weft::this_fiber::cancel_requested()) yield();
    });
    yield();
    auto next = spawn([&] {
      const std::lock_guard hold{lock};
      handed_on = true;
    });
    yield();

    holder.request_cancel();
    holder.join();
    next.join();

    EXPECT_TRUE(handed_on);
    EXPECT_EQ(holder.state(), weft::fiber_state::completed);
  });
}

TEST_F(Mutex, a_plain_lock_waits_on_when_cancelled) {
  run([] {
    mutex lock;
    bool locked = false;
    lock.lock();
    auto child = spawn([&] {
      const std::lock_guard hold{lock};
      locked = true;
    });
    yield();

    child.request_cancel();
    yield();
    EXPECT_FALSE(locked);
    lock.unlock();
    child.join();

    EXPECT_TRUE(locked);
  });
}

TEST_F(Mutex, the_turn_of_a_waiter_that_was_cancelled_goes_to_the_next) {
  run([] {
    mutex lock;
    std::vector<int> locked;
    std::error_code first_ec;
    lock.lock();
    auto first = spawn([&] { lock.lock(first_ec); });
    auto second = spawn([&] {
      const std::lock_guard hold{lock};
      locked.push_back(2);
    });
    yield();

    first.request_cancel();  // it has not run on yet when the lock is handed on
    lock.unlock();
    first.join();
    second.join();

    EXPECT_EQ(first_ec, weft::errc::cancelled);
    EXPECT_EQ(locked, std::vector{2});
  });
}

TEST_F(Mutex, one_that_was_handed_on_before_the_cancel_is_held) {
  run([] {
    mutex lock;
    std::error_code ec = weft::errc::closed;
    lock.lock();
    auto child = spawn([&] {
      lock.lock(ec);
      if (!ec) lock.unlock();
    });
    yield();

    lock.unlock();
    child.request_cancel();
    child.join();

    EXPECT_FALSE(ec) << ec.message();
    EXPECT_TRUE(lock.try_lock());
    lock.unlock();
  });
}

TEST_F(Mutex, calls_that_find_it_free_give_way_in_time) {
  run([] {
    mutex lock;
    bool ran = false;
    auto other = spawn([&] { ran = true; });
    std::error_code ec;
    for (int i = 0; i < 64; ++i) {
      lock.lock(ec);
      lock.unlock();
    }
    EXPECT_TRUE(ran);
    other.join();
  });
}

TEST_F(Mutex, a_plain_thread_outside_any_runtime_uses_it) {
  mutex lock;
  int count = 0;
  const auto work = [&] {
    for (int i = 0; i < 1'000; ++i) {
      const std::lock_guard hold{lock};
      ++count;
    }
  };
  std::thread other{work};
  work();
  other.join();
  EXPECT_EQ(count, 2'000);
}

TEST_P(MutexBetween, excludes_the_other_side) {
  run(
      [] {
        mutex lock;
        int count = 0;  // not atomic: the lock guards it
        const auto work = [&] {
          for (int i = 0; i < 5'000; ++i) {
            const std::lock_guard hold{lock};
            ++count;
            if (i % 100 == 0) yield();
          }
        };
        players both;
        both.start(GetParam().first, work);
        both.start(GetParam().second, work);
        both.join();
        EXPECT_EQ(count, 10'000);
      },
      {.workers = 2});
}

TEST_P(MutexBetween, hands_on_what_a_timed_lock_has_missed) {
  run(
      [] {
        mutex lock;
        int count = 0;
        int misses = 0;
        const auto work = [&](std::chrono::microseconds patience) {
          for (int i = 0; i < 200; ++i) {
            const bool locked = lock.try_lock_for(patience);
            if (!locked) lock.lock();
            ++count;
            misses += locked ? 0 : 1;
            if (i % 10 == 0) weft::this_fiber::sleep_for(100us);
            lock.unlock();
          }
        };
        players both;
        both.start(GetParam().first, [&] { work(50us); });
        both.start(GetParam().second, [&] { work(0us); });
        both.join();
        EXPECT_EQ(count, 400);
        EXPECT_LE(misses, 400);
      },
      {.workers = 2});
}

// One task of the stress: locks in every way, counts under the lock.
void lock_at_random(mutex& lock, long& count, std::atomic<long>& locked, unsigned seed) {
  weft::test::seeded random{seed};
  for (int i = 0; i < weft::test::stress_operations / 6; ++i) {
    std::error_code ec;
    bool mine = true;
    switch (random.below(4)) {
    case 0: lock.lock(); break;
    case 1: mine = lock.try_lock(); break;
    case 2: mine = lock.try_lock_for(random.short_time(), ec); break;
    default: lock.lock(ec), mine = !ec;
    }
    if (!mine) continue;
    ++count;
    ++locked;
    if (random.below(16) == 0) yield();
    lock.unlock();
  }
}

TEST_F(Mutex, stress_of_all_kinds_of_tasks_loses_no_lock) {
  run(
      [] {
        mutex lock;
        long count = 0;
        std::atomic<long> locked = 0;
        const unsigned seed = weft::test::new_seed();
        players all;
        for (unsigned i = 0; i < 6; ++i) {
          all.start(weft::test::places[i % 3],
                    [&, i] { lock_at_random(lock, count, locked, seed + i); });
        }
        all.join();
        EXPECT_EQ(count, locked) << "seed " << seed;
        EXPECT_TRUE(lock.try_lock());
        lock.unlock();
      },
      {.workers = 2});
}

TEST_F(Mutex, stress_of_cancelled_waits_leaves_it_free) {
  run(
      [] {
        mutex lock;
        long count = 0;
        std::atomic<long> locked = 0;
        weft::test::seeded random{weft::test::new_seed()};
        for (int i = 0; i < weft::test::stress_operations / 10; ++i) {
          std::vector<weft::fiber<>> fibers;
          for (int f = 0; f < 3; ++f) {
            fibers.push_back(weft::spawn_on(random.below(2), [&] {
              std::error_code ec;
              lock.lock(ec);
              if (ec) return;
              ++count;
              ++locked;
              yield();
              lock.unlock();
            }));
          }
          for (unsigned turns = random.below(4); turns > 0; --turns) yield();
          for (auto& each : fibers) {
            if (random.below(2) == 0) each.request_cancel();
          }
          for (auto& each : fibers) each.join();
        }
        EXPECT_EQ(count, locked);
        EXPECT_TRUE(lock.try_lock());
        lock.unlock();
      },
      {.workers = 2});
}

// The next thread often gets its memory.
TEST_F(Mutex, what_a_thread_holds_when_it_ends_stays_locked) {
  alignas(mutex) std::byte never_destroyed[sizeof(mutex)];
  mutex& lock = *::new (never_destroyed) mutex;
  std::thread{[&] { lock.lock(); }}.join();

  std::thread{[&] {
    std::error_code ec;
    EXPECT_FALSE(lock.try_lock_for(1ms, ec));
    EXPECT_EQ(ec, weft::errc::timed_out);
  }}.join();
}

// The next fiber gets its control block.
TEST_F(Mutex, what_a_fiber_holds_when_it_ends_stays_locked) {
  run([] {
    alignas(mutex) std::byte never_destroyed[sizeof(mutex)];
    mutex& lock = *::new (never_destroyed) mutex;
    spawn([&] { lock.lock(); }).join();

    spawn([&] {
      EXPECT_FALSE(lock.try_lock());
      std::error_code ec;
      EXPECT_FALSE(lock.try_lock_for(1ms, ec));
      EXPECT_EQ(ec, weft::errc::timed_out);
    }).join();
  });
}

// ---- misuse ------------------------------------------------------------------------------------

TEST_F(MutexDeath, destroyed_while_it_is_held_ends_the_process) {
  EXPECT_EXIT(
      {
        enter_death_test();
        mutex lock;
        lock.lock();
        lock.~mutex();
      },
      testing::KilledBySignal(SIGABRT), "a mutex was destroyed while it was held");
}

TEST_F(MutexDeath, destroyed_before_one_that_was_cancelled_has_gone_ends_the_process) {
  EXPECT_EXIT(
      {
        enter_death_test();
        weft::run([] {
          mutex lock;
          lock.lock();
          auto child = spawn([&] {
            std::error_code ec;
            lock.lock(ec);
          });
          yield();
          child.request_cancel();
          lock.unlock();
          lock.~mutex();
        });
      },
      testing::KilledBySignal(SIGABRT), "a mutex was destroyed while somebody waited");
}

TEST_F(MutexDeath, unlocked_by_another_fiber_ends_the_process) {
  EXPECT_EXIT(
      {
        enter_death_test();
        weft::run([] {
          mutex lock;
          lock.lock();
          spawn({.name = "thief"}, [&] { lock.unlock(); }).join();
        });
      },
      testing::KilledBySignal(SIGABRT), "does not hold the mutex.*thief");
}

TEST_F(MutexDeath, unlocked_by_the_fiber_after_its_holder_ends_the_process) {
  EXPECT_EXIT(
      {
        enter_death_test();
        weft::run([] {
          mutex lock;
          spawn([&] { lock.lock(); }).join();
          spawn({.name = "heir"}, [&] { lock.unlock(); }).join();
        });
      },
      testing::KilledBySignal(SIGABRT), "does not hold the mutex.*heir");
}

TEST_F(MutexDeath, unlocked_without_being_locked_ends_the_process) {
  EXPECT_EXIT(
      {
        enter_death_test();
        mutex lock;
        lock.unlock();
      },
      testing::KilledBySignal(SIGABRT), "does not hold the mutex");
}

}  // namespace
