// The semaphore: every count goes to one task, in order, and none is lost by a wait that gave up.
#include <atomic>
#include <system_error>
#include <vector>

#include <gtest/gtest.h>

#include <weft/fiber/semaphore.hpp>

#include "players.hpp"

namespace {

using namespace std::chrono_literals;
using weft::semaphore;
using weft::spawn;
using weft::test::pairing;
using weft::test::players;
using weft::this_fiber::yield;

class Semaphore : public weft::test::runtime_test {};

class SemaphoreBetween : public Semaphore, public testing::WithParamInterface<pairing> {};

using SemaphoreDeath = Semaphore;

INSTANTIATE_TEST_SUITE_P(Pairings, SemaphoreBetween, testing::ValuesIn(weft::test::pairings),
                         weft::test::name_of);

// Fibers that take one each and note in which order they got it.
struct waiting_fibers {
  explicit waiting_fibers(int count) : errors(static_cast<std::size_t>(count)) {
    for (int i = 0; i < count; ++i) {
      fibers.push_back(spawn([this, i] {
        std::error_code& ec = errors[static_cast<std::size_t>(i)];
        free.acquire(ec);
        if (!ec) order.push_back(i);
      }));
    }
    yield();
  }

  void join() {
    for (auto& each : fibers) each.join();
  }

  semaphore free;
  std::vector<int> order;
  std::vector<std::error_code> errors;
  std::vector<weft::fiber<>> fibers;
};

TEST_F(Semaphore, counts_what_is_taken_and_given_back) {
  semaphore free{2};

  EXPECT_TRUE(free.try_acquire());
  free.acquire();
  EXPECT_FALSE(free.try_acquire());
  EXPECT_EQ(free.available(), 0u);
  free.release(3);
  free.release(0);

  EXPECT_EQ(free.available(), 3u);
}

TEST_F(Semaphore, serves_in_the_order_in_which_fibers_came) {
  run([] {
    waiting_fibers waiting{5};

    waiting.free.release();
    EXPECT_FALSE(waiting.free.try_acquire()) << "it belongs to the first";
    yield();
    EXPECT_EQ(waiting.order, std::vector{0});
    waiting.free.release(6);
    waiting.join();

    EXPECT_EQ(waiting.order, (std::vector{0, 1, 2, 3, 4}));
    EXPECT_EQ(waiting.free.available(), 2u);
  });
}

TEST_F(Semaphore, a_timed_acquire_gives_up_and_takes_nothing) {
  run([] {
    semaphore free;
    std::error_code ec;

    EXPECT_FALSE(free.try_acquire_for(1ms, ec));
    EXPECT_EQ(ec, weft::errc::timed_out);
    EXPECT_FALSE(free.try_acquire_for(1ms));
    EXPECT_FALSE(free.try_acquire_for(-1h));
    free.release();

    EXPECT_EQ(free.available(), 1u);
    EXPECT_TRUE(free.try_acquire_for(-1h, ec));
    EXPECT_FALSE(ec);
  });
}

TEST_F(Semaphore, what_a_cancelled_waiter_was_to_get_goes_to_the_next) {
  run([] {
    waiting_fibers waiting{2};

    waiting.fibers[0].request_cancel();  // it has not run on yet when there is one for it
    waiting.free.release();
    waiting.join();

    EXPECT_EQ(waiting.errors[0], weft::errc::cancelled);
    EXPECT_EQ(waiting.order, std::vector{1});
    EXPECT_EQ(waiting.free.available(), 0u);
  });
}

TEST_F(Semaphore, what_only_a_cancelled_waiter_was_to_get_is_free) {
  run([] {
    waiting_fibers waiting{1};

    waiting.fibers[0].request_cancel();
    waiting.free.release();

    EXPECT_EQ(waiting.free.available(), 1u);
    waiting.join();
    EXPECT_EQ(waiting.free.available(), 1u);
  });
}

TEST_F(Semaphore, one_that_was_given_before_the_cancel_is_taken) {
  run([] {
    waiting_fibers waiting{1};

    waiting.free.release();
    waiting.fibers[0].request_cancel();
    waiting.join();

    EXPECT_EQ(waiting.order, std::vector{0});
    EXPECT_EQ(waiting.free.available(), 0u);
  });
}

TEST_F(Semaphore, a_cancelled_fiber_takes_nothing_though_one_is_free) {
  run([] {
    semaphore free{1};
    auto child = spawn([&] {
      while (!weft::this_fiber::cancel_requested()) yield();
      std::error_code ec;
      free.acquire(ec);
      EXPECT_EQ(ec, weft::errc::cancelled);
      EXPECT_THROW(free.acquire(), std::system_error);
      EXPECT_THROW(free.try_acquire_for(1h), std::system_error);
      EXPECT_TRUE(free.try_acquire());
      free.release();
    });
    yield();
    child.request_cancel();
    child.join();
    EXPECT_EQ(free.available(), 1u);
  });
}

TEST_F(Semaphore, calls_that_find_one_free_give_way_in_time) {
  run([] {
    semaphore free{64};
    bool ran = false;
    auto other = spawn([&] { ran = true; });
    for (int i = 0; i < 64; ++i) free.acquire();
    EXPECT_TRUE(ran);
    other.join();
  });
}

TEST_P(SemaphoreBetween, hands_over_both_ways) {
  run(
      [] {
        semaphore ping, pong;
        int balls = 0;
        const auto play = [&](semaphore& mine, semaphore& other) {
          for (int i = 0; i < 3'000; ++i) {
            mine.acquire();
            ++balls;
            other.release();
          }
        };
        players both;
        both.start(GetParam().first, [&] { play(ping, pong); });
        both.start(GetParam().second, [&] { play(pong, ping); });
        ping.release();
        both.join();
        EXPECT_EQ(balls, 6'000);
        EXPECT_EQ(ping.available() + pong.available(), 1u);
      },
      {.workers = 2});
}

TEST_F(Semaphore, stress_keeps_the_count_through_timeouts) {
  run(
      [] {
        constexpr std::size_t total = 3;
        semaphore free{total};
        std::atomic<int> inside = 0;
        const unsigned seed = weft::test::new_seed();
        players all;
        for (unsigned i = 0; i < 9; ++i) {
          all.start(weft::test::places[i % 3], [&, i] {
            weft::test::seeded random{seed + i};
            for (int k = 0; k < weft::test::stress_operations / 9; ++k) {
              if (!free.try_acquire_for(random.short_time())) continue;
              EXPECT_LE(++inside, static_cast<int>(total));
              if (random.below(4) == 0) yield();
              --inside;
              free.release();
            }
          });
        }
        all.join();
        EXPECT_EQ(free.available(), total) << "seed " << seed;
      },
      {.workers = 2});
}

TEST_F(Semaphore, stress_keeps_the_count_through_cancels) {
  run(
      [] {
        semaphore free{1};
        weft::test::seeded random{weft::test::new_seed()};
        for (int i = 0; i < weft::test::stress_operations / 10; ++i) {
          std::vector<weft::fiber<>> fibers;
          for (int f = 0; f < 4; ++f) {
            fibers.push_back(weft::spawn_on(random.below(2), [&] {
              std::error_code ec;
              free.acquire(ec);
              if (ec) return;
              yield();
              free.release();
            }));
          }
          for (unsigned turns = random.below(4); turns > 0; --turns) yield();
          for (auto& each : fibers) {
            if (random.below(2) == 0) each.request_cancel();
          }
          for (auto& each : fibers) each.join();
          ASSERT_EQ(free.available(), 1u);
        }
      },
      {.workers = 2});
}

// ---- misuse ------------------------------------------------------------------------------------

// One that was cancelled, too, whom the wake-up does not reach and who has still to come back.
TEST_F(SemaphoreDeath, destroyed_while_somebody_waits_ends_the_process) {
  for (const bool cancelled : {false, true}) {
    EXPECT_EXIT(
        {
          enter_death_test();
          weft::run([cancelled] {
            semaphore free;
            auto child = spawn([&] { free.acquire(); });
            yield();
            if (cancelled) {
              child.request_cancel();
              free.release();
            }
            free.~semaphore();
          });
        },
        testing::KilledBySignal(SIGABRT), "semaphore was destroyed while somebody waited");
  }
}

TEST_F(SemaphoreDeath, a_count_that_is_too_high_ends_the_process) {
  EXPECT_EXIT(
      {
        enter_death_test();
        semaphore free{semaphore::max};
        free.release();
      },
      testing::KilledBySignal(SIGABRT), "went over semaphore::max");
  EXPECT_EXIT(
      {
        enter_death_test();
        const semaphore free{static_cast<std::size_t>(-1)};
      },
      testing::KilledBySignal(SIGABRT), "a count over semaphore::max");
}

}  // namespace
