// The condition variable: who is woken, and that the mutex is held again whatever ended the wait.
#include <deque>
#include <mutex>
#include <system_error>
#include <vector>

#include <gtest/gtest.h>

#include <weft/fiber/condition_variable.hpp>
#include <weft/fiber/mutex.hpp>

#include "players.hpp"

namespace {

using namespace std::chrono_literals;
using weft::condition_variable;
using weft::mutex;
using weft::spawn;
using weft::test::pairing;
using weft::test::players;
using weft::this_fiber::yield;

class ConditionVariable : public weft::test::runtime_test {};

class ConditionVariableBetween : public ConditionVariable,
                                 public testing::WithParamInterface<pairing> {};

using ConditionVariableDeath = ConditionVariable;

INSTANTIATE_TEST_SUITE_P(Pairings, ConditionVariableBetween,
                         testing::ValuesIn(weft::test::pairings), weft::test::name_of);

// Fibers that wait for one notification each and note their order.
struct waiting_fibers {
  explicit waiting_fibers(int count) {
    for (int i = 0; i < count; ++i) {
      fibers.push_back(spawn([this, i] {
        std::unique_lock hold{lock};
        std::error_code ec;
        changed.wait(hold, ec);
        EXPECT_TRUE(hold.owns_lock());
        woken.push_back(i);
        errors.push_back(ec);
      }));
    }
    yield();
  }

  mutex lock;
  condition_variable changed;
  std::vector<int> woken;
  std::vector<std::error_code> errors;
  std::vector<weft::fiber<>> fibers;
};

TEST_F(ConditionVariable, wakes_one_at_a_time_in_the_order_in_which_they_came) {
  run([] {
    waiting_fibers waiting{3};
    EXPECT_TRUE(waiting.lock.try_lock());
    waiting.lock.unlock();

    for (int i = 0; i < 3; ++i) {
      waiting.changed.notify_one();
      yield();
      EXPECT_EQ(waiting.woken.size(), static_cast<std::size_t>(i + 1));
    }
    waiting.changed.notify_one();

    EXPECT_EQ(waiting.woken, (std::vector{0, 1, 2}));
  });
}

TEST_F(ConditionVariable, wakes_all_at_once) {
  run([] {
    waiting_fibers waiting{4};

    waiting.changed.notify_all();
    for (auto& each : waiting.fibers) each.join();

    EXPECT_EQ(waiting.woken, (std::vector{0, 1, 2, 3}));
  });
}

TEST_F(ConditionVariable, a_cancelled_wait_holds_the_mutex_again) {
  run([] {
    waiting_fibers waiting{2};
    waiting.lock.lock();

    waiting.fibers[0].request_cancel();
    yield();
    EXPECT_TRUE(waiting.woken.empty()) << "the mutex was not waited for";
    waiting.lock.unlock();
    waiting.fibers[0].join();

    EXPECT_EQ(waiting.errors, std::vector{make_error_code(weft::errc::cancelled)});
    waiting.changed.notify_one();
  });
}

TEST_F(ConditionVariable, a_notification_meant_for_a_cancelled_waiter_goes_to_the_next) {
  run([] {
    waiting_fibers waiting{2};

    waiting.fibers[0].request_cancel();
    waiting.changed.notify_one();
    for (auto& each : waiting.fibers) each.join();

    EXPECT_EQ(waiting.errors[0], weft::errc::cancelled);
    EXPECT_FALSE(waiting.errors[1]);
  });
}

TEST_F(ConditionVariable, a_notification_before_the_cancel_counts) {
  run([] {
    waiting_fibers waiting{1};

    waiting.changed.notify_one();
    waiting.fibers[0].request_cancel();
    waiting.fibers[0].join();

    EXPECT_FALSE(waiting.errors[0]);
  });
}

TEST_F(ConditionVariable, a_wait_ends_when_its_time_is_over) {
  run([] {
    mutex lock;
    condition_variable changed;
    std::unique_lock hold{lock};
    std::error_code ec;

    EXPECT_EQ(changed.wait_for(hold, 1ms, ec), std::cv_status::timeout);
    EXPECT_EQ(ec, weft::errc::timed_out);
    EXPECT_EQ(changed.wait_for(hold, -1s), std::cv_status::timeout);
    EXPECT_FALSE(changed.wait_for(
        hold, 1ms, [] { return false; }, ec));
    EXPECT_EQ(ec, weft::errc::timed_out);
    EXPECT_FALSE(changed.wait_for(hold, 1ms, [] { return false; }));
    EXPECT_TRUE(hold.owns_lock());
    EXPECT_FALSE(lock.try_lock());
  });
}

TEST_F(ConditionVariable, a_condition_that_is_true_ends_the_wait_even_when_time_is_over) {
  run([] {
    mutex lock;
    condition_variable changed;
    std::unique_lock hold{lock};
    std::error_code ec = weft::errc::closed;
    int looks = 0;

    EXPECT_TRUE(changed.wait_for(
        hold, 1ms, [&] { return ++looks == 2; }, ec));
    EXPECT_FALSE(ec);
    EXPECT_TRUE(changed.wait_for(hold, -1ms, [] { return true; }));
    changed.wait(hold, [] { return true; });
  });
}

TEST_F(ConditionVariable, a_cancelled_fiber_is_refused_before_it_looks) {
  run([] {
    mutex lock;
    condition_variable changed;
    auto child = spawn([&] {
      while (!weft::this_fiber::cancel_requested()) yield();
      std::unique_lock hold{lock};
      std::error_code ec;
      int looks = 0;
      changed.wait(
          hold, [&] { return ++looks != 0; }, ec);
      EXPECT_EQ(ec, weft::errc::cancelled);
      EXPECT_EQ(looks, 0);
      EXPECT_THROW(changed.wait(hold), std::system_error);
      EXPECT_TRUE(hold.owns_lock());
    });
    yield();
    child.request_cancel();
    child.join();
  });
}

TEST_P(ConditionVariableBetween, carries_every_item_of_a_queue) {
  run(
      [] {
        constexpr int items = 3'000;
        mutex lock;
        condition_variable not_empty, not_full;
        std::deque<int> queue;
        long sum = 0;
        players both;
        both.start(GetParam().first, [&] {
          for (int i = 1; i <= items; ++i) {
            std::unique_lock hold{lock};
            not_full.wait(hold, [&] { return queue.size() < 4; });
            queue.push_back(i);
            not_empty.notify_one();
          }
        });
        both.start(GetParam().second, [&] {
          for (int i = 1; i <= items; ++i) {
            std::unique_lock hold{lock};
            not_empty.wait(hold, [&] { return !queue.empty(); });
            EXPECT_EQ(queue.front(), i);
            sum += queue.front();
            queue.pop_front();
            hold.unlock();
            not_full.notify_one();
          }
        });
        both.join();
        EXPECT_EQ(sum, static_cast<long>(items) * (items + 1) / 2);
      },
      {.workers = 2});
}

// Tokens under a mutex: each notification is for one token, and a waiter that gives up must not
// swallow it.
struct tokens {
  void put() {
    const std::lock_guard hold{lock};
    ++available;
    changed.notify_one();
  }

  bool take_within(std::chrono::microseconds time) {
    std::unique_lock hold{lock};
    if (!changed.wait_for(hold, time, [this] { return available > 0; })) return false;
    --available;
    return true;
  }

  mutex lock;
  condition_variable changed;
  int available = 0;
};

TEST_F(ConditionVariable, stress_of_timeouts_and_notifications_loses_none) {
  run(
      [] {
        tokens shared;
        const unsigned seed = weft::test::new_seed();
        constexpr int each = weft::test::stress_operations / 6;
        players all;
        for (unsigned i = 0; i < 3; ++i) {
          all.start(weft::test::places[i], [&, i] {
            weft::test::seeded random{seed + i};
            for (int taken = 0; taken < each;) {
              if (shared.take_within(random.short_time())) ++taken;
            }
          });
          all.start(weft::test::places[2 - i], [&, i] {
            weft::test::seeded random{seed + 100 + i};
            for (int put = 0; put < each; ++put) {
              shared.put();
              if (random.below(8) == 0) yield();
            }
          });
        }
        all.join();
        EXPECT_EQ(shared.available, 0) << "seed " << seed;
      },
      {.workers = 2});
}

TEST_F(ConditionVariable, stress_of_notify_all_wakes_tasks_of_all_kinds) {
  run(
      [] {
        mutex lock;
        condition_variable changed;
        int round = 0, arrived = 0;
        constexpr int rounds = weft::test::stress_operations / 20;
        players all;
        for (unsigned i = 0; i < 6; ++i) {
          all.start(weft::test::places[i % 3], [&] {
            for (int mine = 0; mine < rounds; ++mine) {
              std::unique_lock hold{lock};
              if (++arrived == 6) {
                arrived = 0;
                ++round;
                changed.notify_all();
              }
              changed.wait(hold, [&] { return round > mine; });
            }
          });
        }
        all.join();
        EXPECT_EQ(round, rounds);
      },
      {.workers = 2});
}

// ---- misuse ------------------------------------------------------------------------------------

TEST_F(ConditionVariableDeath, destroyed_while_somebody_waits_ends_the_process) {
  EXPECT_EXIT(
      {
        enter_death_test();
        weft::run([] {
          mutex lock;
          condition_variable changed;
          auto child = spawn([&] {
            std::unique_lock hold{lock};
            changed.wait(hold);
          });
          yield();
          changed.~condition_variable();
        });
      },
      testing::KilledBySignal(SIGABRT), "condition_variable was destroyed while somebody waited");
}

TEST_F(ConditionVariableDeath, waited_for_without_the_mutex_ends_the_process) {
  EXPECT_EXIT(
      {
        enter_death_test();
        mutex lock;
        condition_variable changed;
        std::unique_lock hold(lock, std::defer_lock);
        changed.wait(hold);
      },
      testing::KilledBySignal(SIGABRT), "without holding the mutex");
}

}  // namespace
