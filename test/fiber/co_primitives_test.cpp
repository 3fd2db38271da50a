// Mutex, semaphore, event and condition variable between coroutines and tasks of all other kinds.
#include <atomic>
#include <chrono>
#include <deque>
#include <mutex>
#include <system_error>
#include <vector>

#include <gtest/gtest.h>

#include <weft/co.hpp>
#include <weft/fiber/condition_variable.hpp>
#include <weft/fiber/event.hpp>
#include <weft/fiber/mutex.hpp>
#include <weft/fiber/semaphore.hpp>

#include "co_players.hpp"

namespace {

using namespace std::chrono_literals;
using weft::co::spawn;
using weft::co::task;
using weft::test::co_pairing;
using weft::test::co_players;
using weft::test::kinds;
using weft::test::seeded;
using weft::test::stress_operations;
using weft::this_fiber::yield;

class CoPrimitives : public weft::test::runtime_test {};

class CoPrimitivesBetween : public CoPrimitives, public testing::WithParamInterface<co_pairing> {};

using CoPrimitivesDeath = CoPrimitives;

INSTANTIATE_TEST_SUITE_P(Pairings, CoPrimitivesBetween, testing::ValuesIn(weft::test::co_pairings),
                         weft::test::name_of_pairing);

// ---- one worker --------------------------------------------------------------------------------

TEST_F(CoPrimitives, a_mutex_goes_to_coroutines_and_fibers_in_the_order_in_which_they_came) {
  run([] {
    weft::mutex lock;
    std::vector<int> order;
    std::vector<weft::fiber<>> all;
    lock.lock();
    for (int i = 0; i < 10; ++i) {
      auto coroutine = [&, i]() -> task<> {
        const auto hold = co_await lock.co_scoped_lock();
        order.push_back(i);
        co_await weft::co::yield();
      };
      if (i % 2 == 0) {
        all.push_back(spawn(coroutine));
      } else {
        all.push_back(weft::spawn([&, i] {
          const std::lock_guard hold{lock};
          order.push_back(i);
          yield();
        }));
      }
    }
    yield();

    lock.unlock();
    for (auto& each : all) each.join();

    EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  });
}

TEST_F(CoPrimitives, a_mutex_that_a_coroutine_holds_already_is_an_error) {
  run([] {
    weft::mutex lock;
    auto twice = spawn([&]() -> task<> {
      const auto hold = co_await lock.co_scoped_lock();
      std::error_code ec;
      co_await lock.co_lock(ec);
      EXPECT_EQ(ec, std::errc::resource_deadlock_would_occur);
      EXPECT_FALSE(co_await lock.co_try_lock_for(1h, ec));
      EXPECT_EQ(ec, std::errc::resource_deadlock_would_occur);
    });
    twice.join();
    EXPECT_NO_THROW(twice.result());
  });
}

TEST_F(CoPrimitives, a_mutex_held_by_a_coroutine_may_be_unlocked_on_another_stack) {
  run([] {
    weft::mutex lock;
    auto holder = spawn([&]() -> task<> {
      co_await lock.co_lock();
      yield();
      co_await weft::co::yield();
      lock.unlock();
    });
    auto others = spawn([&]() -> task<> {
      co_await lock.co_lock();
      lock.unlock();
    });
    holder.join();
    others.join();
    EXPECT_TRUE(lock.try_lock());
    lock.unlock();
  });
}

TEST_F(CoPrimitives, timed_waits_of_coroutines_end_in_time_and_say_so) {
  weft::testing::virtual_clock time;
  run(
      [&] {
        weft::mutex lock;
        weft::semaphore none;
        weft::event never;
        weft::condition_variable silent;
        weft::mutex of_silent;
        lock.lock();
        auto waiting = spawn([&]() -> task<> {
          std::error_code ec;
          EXPECT_FALSE(co_await lock.co_try_lock_for(1s));
          EXPECT_FALSE(co_await lock.co_try_lock_for(0s, ec));
          EXPECT_EQ(ec, weft::errc::timed_out);
          EXPECT_FALSE(co_await none.co_try_acquire_for(1s));
          EXPECT_FALSE(co_await none.co_try_acquire_for(0s, ec));
          EXPECT_EQ(ec, weft::errc::timed_out);
          EXPECT_FALSE(co_await never.co_wait_for(1s));
          EXPECT_FALSE(co_await never.co_wait_for(0s, ec));
          EXPECT_EQ(ec, weft::errc::timed_out);
          auto hold = co_await of_silent.co_scoped_lock();
          EXPECT_EQ(co_await silent.co_wait_for(hold, 1s), std::cv_status::timeout);
          EXPECT_EQ(co_await silent.co_wait_for(hold, 0s, ec), std::cv_status::timeout);
          EXPECT_EQ(ec, weft::errc::timed_out);
          EXPECT_FALSE(co_await silent.co_wait_for(hold, 1s, [] { return false; }));
          EXPECT_TRUE(hold.owns_lock());
        });
        waiting.join();
        waiting.result();
        lock.unlock();
      },
      {.clock = &time});
  EXPECT_GE(time.elapsed(), 5s);
  EXPECT_LT(time.elapsed(), 6s);
}

TEST_F(CoPrimitives, timed_waits_of_coroutines_that_succeed_leave_no_timer_and_no_error) {
  run([] {
    weft::mutex lock;
    weft::semaphore free;
    weft::event go;
    lock.lock();
    auto waiting = spawn([&]() -> task<> {
      std::error_code ec = weft::errc::eof;
      EXPECT_TRUE(co_await go.co_wait_for(24h, ec));
      EXPECT_FALSE(ec);
      ec = weft::errc::eof;
      EXPECT_TRUE(co_await free.co_try_acquire_for(24h, ec));
      EXPECT_FALSE(ec);
      ec = weft::errc::eof;
      EXPECT_TRUE(co_await lock.co_try_lock_for(24h, ec));
      EXPECT_FALSE(ec);
      ec = weft::errc::eof;
      co_await weft::co::sleep_for(0s, ec);
      EXPECT_FALSE(ec);
      lock.unlock();
    });
    weft::testing::all_blocked();
    go.set();
    weft::testing::all_blocked();
    free.release();
    weft::testing::all_blocked();
    lock.unlock();
    waiting.join();
    EXPECT_EQ(weft::testing::current_holdings().timers, 0u);
  });
}

TEST_F(CoPrimitivesDeath, a_condition_awaited_without_its_mutex_ends_the_process) {
  EXPECT_EXIT(
      {
        enter_death_test();
        weft::run([] {
          weft::condition_variable changed;
          weft::mutex lock;
          auto misuse = [&]() -> task<> {
            std::unique_lock hold{lock, std::defer_lock};
            co_await changed.co_wait(hold);
          };
          weft::co::block_on(misuse());
        });
      },
      testing::KilledBySignal(SIGABRT), "without holding the mutex");
}

// ---- pairings ----------------------------------------------------------------------------------

constexpr int rounds = stress_operations / 10;

TEST_P(CoPrimitivesBetween, a_mutex_lets_one_in_at_a_time) {
  run(
      [] {
        weft::mutex lock;
        int counter = 0;
        auto blocking = [&] {
          for (int i = 0; i < rounds; ++i) {
            const std::lock_guard hold{lock};
            ++counter;
          }
        };
        auto coroutine = [&]() -> task<> {
          for (int i = 0; i < rounds; ++i) {
            if (i % 7 == 0) {
              const std::lock_guard hold{lock};  // keeps the stack
              ++counter;
              continue;
            }
            const auto hold = co_await lock.co_scoped_lock();
            ++counter;
            if (i % 16 == 0) co_await weft::co::yield();
          }
        };
        co_players both;
        both.start(GetParam().first, blocking, coroutine);
        both.start(GetParam().second, blocking, coroutine);
        both.join();
        EXPECT_EQ(counter, 2 * rounds);
      },
      {.workers = 2});
}

TEST_P(CoPrimitivesBetween, semaphores_hand_turns_over_and_back) {
  run(
      [] {
        weft::semaphore ping{1};
        weft::semaphore pong;
        int value = 0;
        auto side = [&](weft::test::kind where, weft::semaphore& mine, weft::semaphore& yours,
                        co_players& both) {
          both.start(
              where,
              [&] {
                for (int i = 0; i < rounds; ++i) {
                  mine.acquire();
                  ++value;
                  yours.release();
                }
              },
              [&]() -> task<> {
                for (int i = 0; i < rounds; ++i) {
                  co_await mine.co_acquire();
                  ++value;
                  yours.release();
                }
              });
        };
        co_players both;
        side(GetParam().first, ping, pong, both);
        side(GetParam().second, pong, ping, both);
        both.join();
        EXPECT_EQ(value, 2 * rounds);
      },
      {.workers = 2});
}

TEST_P(CoPrimitivesBetween, an_event_wakes_and_may_go_at_once) {
  run(
      [] {
        struct signal {
          weft::event asked;
          weft::event answered;
        };
        std::deque<signal> signals(static_cast<std::size_t>(rounds));
        co_players both;
        both.start(
            GetParam().first,
            [&] {
              for (auto& each : signals) {
                each.asked.set();
                each.answered.wait();
              }
            },
            [&]() -> task<> {
              for (auto& each : signals) {
                each.asked.set();
                co_await each.answered.co_wait();
              }
            });
        both.start(
            GetParam().second,
            [&] {
              for (auto& each : signals) {
                each.asked.wait();
                each.answered.set();
              }
            },
            [&]() -> task<> {
              for (auto& each : signals) {
                co_await each.asked.co_wait();
                each.answered.set();
              }
            });
        both.join();
      },
      {.workers = 2});
}

TEST_P(CoPrimitivesBetween, a_condition_is_seen_by_the_one_who_waits_for_it) {
  run(
      [] {
        weft::mutex lock;
        weft::condition_variable changed;
        int turn = 0;
        auto side = [&](weft::test::kind where, int mine, co_players& both) {
          both.start(
              where,
              [&, mine] {
                for (int i = 0; i < rounds; ++i) {
                  std::unique_lock hold{lock};
                  changed.wait(hold, [&] { return turn % 2 == mine; });
                  ++turn;
                  changed.notify_one();
                }
              },
              [&, mine]() -> task<> {
                for (int i = 0; i < rounds; ++i) {
                  auto hold = co_await lock.co_scoped_lock();
                  co_await changed.co_wait(hold, [&] { return turn % 2 == mine; });
                  ++turn;
                  changed.notify_one();
                }
              });
        };
        co_players both;
        side(GetParam().first, 0, both);
        side(GetParam().second, 1, both);
        both.join();
        EXPECT_EQ(turn, 2 * rounds);
      },
      {.workers = 2});
}

// ---- stress ------------------------------------------------------------------------------------

// Takes one and gives it back in all ways that there are.
struct shared_counts {
  weft::semaphore free{2};
  weft::mutex lock;
  int guarded = 0;
  std::atomic<int> inside = 0;
  std::atomic<int> locked = 0;

  void note_inside() {
    EXPECT_LE(++inside, 2);
    --inside;
  }

  void note_locked() {
    ++guarded;
    ++locked;
  }

  void block(unsigned seed) {
    seeded random{seed};
    for (int i = 0; i < rounds; ++i) {
      if (random.below(2) == 0 ? free.try_acquire_for(random.short_time())
                               : (free.acquire(), true)) {
        note_inside();
        if (random.below(8) == 0) yield();
        free.release();
      }
      if (random.below(2) == 0 ? lock.try_lock_for(random.short_time()) : (lock.lock(), true)) {
        note_locked();
        lock.unlock();
      }
    }
  }

  task<> suspend(unsigned seed) {
    std::mt19937_64 random{seed};
    for (int i = 0; i < rounds; ++i) {
      const auto way = random() % 4;
      const auto time = std::chrono::microseconds(random() % 2'000);
      bool taken = true;
      if (way == 0) taken = co_await free.co_try_acquire_for(time);
      if (way == 1) taken = free.try_acquire_for(time);
      if (way >= 2) co_await free.co_acquire();
      if (taken) {
        note_inside();
        if (random() % 8 == 0) co_await weft::co::yield();
        free.release();
      }
      taken = true;
      if (way == 3) taken = co_await lock.co_try_lock_for(time);
      if (way == 2) lock.lock();
      if (way < 2) co_await lock.co_lock();
      if (!taken) continue;
      note_locked();
      lock.unlock();
    }
  }
};

TEST_F(CoPrimitives, under_load_from_all_kinds_of_tasks_stay_correct) {
  const unsigned seed = weft::test::new_seed();
  SCOPED_TRACE(seed);
  run(
      [&] {
        shared_counts counts;
        co_players all;
        for (unsigned i = 0; i < 10; ++i) {
          all.start(
              kinds[i % 5], [&, i] { counts.block(seed + i); },
              [&, i] { return counts.suspend(seed + i); });
        }
        all.join();
        EXPECT_EQ(counts.free.available(), 2u);
        EXPECT_EQ(counts.guarded, counts.locked);
      },
      {.workers = 2});
}

TEST_F(CoPrimitives, cancelled_at_random_give_back_what_they_have_taken) {
  run(
      [] {
        seeded random{weft::test::new_seed()};
        for (int i = 0; i < stress_operations / 20; ++i) {
          weft::semaphore free{1};
          weft::mutex lock;
          weft::event go;
          std::atomic<int> taken = 0;
          std::vector<weft::fiber<>> all;
          for (int k = 0; k < 4; ++k) {
            all.push_back(weft::co::spawn_on(random.below(2), [&]() -> task<> {
              std::error_code ec;
              co_await free.co_acquire(ec);
              if (!ec) {
                ++taken;
                co_await weft::co::yield();
                free.release();
              }
              co_await lock.co_lock(ec);
              if (!ec) lock.unlock();
              co_await go.co_wait(ec);
            }));
          }
          for (unsigned turns = random.below(4); turns > 0; --turns) yield();
          for (auto& each : all) {
            if (random.below(2) == 0) each.request_cancel();
          }
          go.set();
          for (auto& each : all) each.join();
          ASSERT_EQ(free.available(), 1u);
          ASSERT_TRUE(lock.try_lock());
          lock.unlock();
        }
      },
      {.workers = 2});
}

}  // namespace
