// The event: whom it lets pass, and how a wait for it ends otherwise.
#include <atomic>
#include <memory>
#include <system_error>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <weft/fiber/event.hpp>

#include "players.hpp"

namespace {

using namespace std::chrono_literals;
using weft::event;
using weft::spawn;
using weft::test::pairing;
using weft::test::players;
using weft::this_fiber::yield;

class Event : public weft::test::runtime_test {};

class EventBetween : public Event, public testing::WithParamInterface<pairing> {};

using EventDeath = Event;

INSTANTIATE_TEST_SUITE_P(Pairings, EventBetween, testing::ValuesIn(weft::test::pairings),
                         weft::test::name_of);

TEST_F(Event, lets_all_pass_once_it_is_set_until_it_is_reset) {
  event happened;
  EXPECT_FALSE(happened.is_set());
  EXPECT_FALSE(happened.wait_for(0s));

  happened.set();
  happened.set();
  happened.wait();
  EXPECT_TRUE(happened.wait_for(-1h));
  EXPECT_TRUE(happened.is_set());

  happened.reset();
  EXPECT_FALSE(happened.is_set());
  EXPECT_FALSE(happened.wait_for(1ms));
}

TEST_F(Event, wakes_all_in_the_order_in_which_they_came_though_it_is_reset_at_once) {
  run([] {
    event happened;
    std::vector<int> order;
    std::vector<weft::fiber<>> fibers;
    for (int i = 0; i < 5; ++i) {
      fibers.push_back(spawn([&, i] {
        happened.wait();
        order.push_back(i);
      }));
    }
    yield();
    EXPECT_TRUE(order.empty());

    happened.set();
    happened.reset();
    for (auto& each : fibers) each.join();

    EXPECT_EQ(order, (std::vector{0, 1, 2, 3, 4}));
  });
}

TEST_F(Event, a_timed_wait_says_that_the_time_is_over) {
  run([] {
    event happened;
    std::error_code ec;

    EXPECT_FALSE(happened.wait_for(1ms, ec));
    EXPECT_EQ(ec, weft::errc::timed_out);
    EXPECT_FALSE(happened.wait_for(-1ms, ec));
    EXPECT_EQ(ec, weft::errc::timed_out);
    EXPECT_FALSE(happened.wait_for(1ms));
  });
}

// A fiber that waits, and what became of it.
struct waiting_fiber {
  explicit waiting_fiber(event& happened) {
    fiber = spawn([this, &happened] { happened.wait(ec); });
    yield();
  }

  std::error_code ec = weft::errc::closed;
  weft::fiber<> fiber;
};

TEST_F(Event, the_first_of_cancel_and_set_decides) {
  run([] {
    event happened;
    waiting_fiber first{happened}, second{happened};

    first.fiber.request_cancel();
    happened.set();
    second.fiber.request_cancel();
    first.fiber.join();
    second.fiber.join();

    EXPECT_EQ(first.ec, weft::errc::cancelled);
    EXPECT_FALSE(second.ec) << second.ec.message();
  });
}

TEST_F(Event, a_cancelled_fiber_does_not_pass_though_it_is_set) {
  run([] {
    event happened;
    happened.set();
    auto child = spawn([&] {
      while (!weft::this_fiber::cancel_requested()) yield();
      std::error_code ec;
      happened.wait(ec);
      EXPECT_EQ(ec, weft::errc::cancelled);
      EXPECT_FALSE(happened.wait_for(1h, ec));
      EXPECT_THROW(happened.wait(), std::system_error);
      EXPECT_THROW(happened.wait_for(1h), std::system_error);
    });
    yield();
    child.request_cancel();
    child.join();
  });
}

TEST_F(Event, waits_that_pass_at_once_give_way_in_time) {
  run([] {
    event happened;
    happened.set();
    bool ran = false;
    auto other = spawn([&] { ran = true; });
    for (int i = 0; i < 64; ++i) happened.wait();
    EXPECT_TRUE(ran);
    other.join();
  });
}

TEST_P(EventBetween, shows_what_was_done_before_and_may_be_destroyed_by_who_waited) {
  run(
      [] {
        for (int i = 0; i < 300; ++i) {
          auto happened = std::make_unique<event>();
          event& signal = *happened;
          int value = 0;
          players both;
          both.start(GetParam().first, [&] {
            value = i;
            signal.set();
          });
          both.start(GetParam().second, [&] {
            happened->wait();
            EXPECT_EQ(value, i);
            happened.reset();
          });
          both.join();
        }
      },
      {.workers = 2});
}

TEST_F(Event, stress_of_rounds_with_timeouts_wakes_everybody_once_a_round) {
  run(
      [] {
        constexpr int rounds = weft::test::stress_operations / 30;
        constexpr int waiters = 6;
        std::vector<event> begin(rounds);
        std::vector<event> end(rounds);
        std::vector<std::atomic<int>> arrived(rounds);
        std::atomic<int> passed = 0;
        const unsigned seed = weft::test::new_seed();
        players all;
        for (unsigned i = 0; i < waiters; ++i) {
          all.start(weft::test::places[i % 3], [&, i] {
            weft::test::seeded random{seed + i};
            for (std::size_t round = 0; round < rounds; ++round) {
              while (!begin[round].wait_for(random.short_time())) {
              }
              if (++arrived[round] == waiters) end[round].set();
              end[round].wait();
              ++passed;
            }
          });
        }
        for (std::size_t round = 0; round < rounds; ++round) {
          begin[round].set();
          end[round].wait();
        }
        all.join();
        EXPECT_EQ(passed, rounds * waiters) << "seed " << seed;
      },
      {.workers = 2});
}

TEST_F(Event, stress_of_cancels_against_set_ends_every_wait_for_one_reason) {
  run(
      [] {
        weft::test::seeded random{weft::test::new_seed()};
        for (int i = 0; i < weft::test::stress_operations / 10; ++i) {
          event happened;
          std::error_code ec = weft::errc::closed;
          auto child = weft::spawn_on(1, [&] { happened.wait(ec); });
          for (unsigned turns = random.below(4); turns > 0; --turns) yield();
          const bool set_first = random.below(2) == 0;
          if (set_first) happened.set();
          child.request_cancel();
          if (!set_first) happened.set();
          child.join();
          ASSERT_TRUE(!ec || ec == weft::errc::cancelled || ec == weft::errc::closed)
              << ec.message();  // closed: it never ran
        }
      },
      {.workers = 2});
}

// ---- misuse ------------------------------------------------------------------------------------

// One that was cancelled, too, whom the wake-up does not reach and who has still to come back.
TEST_F(EventDeath, destroyed_while_somebody_waits_ends_the_process) {
  for (const bool cancelled : {false, true}) {
    EXPECT_EXIT(
        {
          enter_death_test();
          weft::run([cancelled] {
            event happened;
            auto child = spawn([&] { happened.wait(); });
            yield();
            if (cancelled) {
              child.request_cancel();
              happened.set();
            }
            happened.~event();
          });
        },
        testing::KilledBySignal(SIGABRT), "event was destroyed while somebody waited");
  }
}

}  // namespace
