// Waiters, the queues they stand in, ready queues and groups: who is woken, in which order, and
// that every wait ends for one reason.
#include <chrono>
#include <stdexcept>
#include <system_error>
#include <vector>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>
#include <weft/fiber/detail/fiber_group.hpp>
#include <weft/fiber/detail/wait.hpp>
#include <weft/fiber/testing/virtual_clock.hpp>

#include "copied_functions.hpp"
#include "support/runtime_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;
using weft::spawn;
using weft::detail::cancellation;
using weft::detail::fiber_group;
using weft::detail::wait;
using weft::detail::wait_queue;
using weft::detail::waiter;
using weft::detail::wake_reason;
using weft::this_fiber::yield;

class Waiter : public weft::test::runtime_test {};

class WaitQueue : public weft::test::runtime_test {};

class FiberGroup : public weft::test::runtime_test {};

using FiberGroupDeath = FiberGroup;

TEST_F(Waiter, one_that_is_not_armed_cannot_be_claimed) {
  waiter entry;

  EXPECT_EQ(entry.reason(), wake_reason::none);
  EXPECT_FALSE(entry.claim(wake_reason::ready));
}

TEST_F(Waiter, only_the_first_claim_counts) {
  waiter entry;
  entry.arm();
  EXPECT_TRUE(entry.armed());

  EXPECT_TRUE(entry.claim(wake_reason::timed_out));
  EXPECT_FALSE(entry.claim(wake_reason::ready));

  EXPECT_EQ(entry.reason(), wake_reason::timed_out);
}

TEST_F(Waiter, every_wait_has_a_generation_of_its_own) {
  waiter entry;
  entry.arm();
  const auto first = entry.word.load();
  entry.claim(wake_reason::ready);

  entry.arm();

  EXPECT_NE(entry.word.load(), first);
  EXPECT_TRUE(entry.claim(wake_reason::closed));
}

// ---- queues ------------------------------------------------------------------------------------

TEST_F(WaitQueue, waiters_are_taken_out_from_every_place) {
  wait_queue queue;
  waiter first, second, third;
  for (waiter* each : {&first, &second, &third}) queue.push_back(*each);

  queue.remove(second);
  EXPECT_FALSE(second.node.linked());
  EXPECT_TRUE(first.node.linked());
  queue.remove(first);
  queue.remove(third);

  EXPECT_TRUE(queue.empty());
  queue.push_back(second);
  EXPECT_FALSE(queue.empty());
  queue.remove(second);
}

TEST_F(WaitQueue, an_empty_one_has_nobody_to_wake) {
  wait_queue queue;

  EXPECT_FALSE(queue.wake_one(wake_reason::ready));
  queue.wake_all(wake_reason::ready);
  EXPECT_TRUE(queue.empty());
}

// Fibers that wait in a queue and note who was woken, when and why.
struct waiting_fibers {
  explicit waiting_fibers(int count) {
    for (int i = 0; i < count; ++i) {
      fibers.push_back(spawn([this, i] {
        const wake_reason reason = wait(queue);
        woken.push_back(i);
        reasons.push_back(reason);
      }));
    }
    yield();
  }

  wait_queue queue;
  std::vector<int> woken;
  std::vector<wake_reason> reasons;
  std::vector<weft::fiber<>> fibers;
};

TEST_F(WaitQueue, waiters_are_woken_in_the_order_in_which_they_came) {
  run([] {
    waiting_fibers waiting{5};

    for (int i = 0; i < 5; ++i) {
      EXPECT_TRUE(waiting.queue.wake_one(wake_reason::ready));
      yield();
      EXPECT_EQ(waiting.woken.size(), static_cast<std::size_t>(i + 1));
    }

    EXPECT_FALSE(waiting.queue.wake_one(wake_reason::ready));
    EXPECT_EQ(waiting.woken, (std::vector{0, 1, 2, 3, 4}));
  });
}

TEST_F(WaitQueue, all_can_be_woken_at_once_for_one_reason) {
  run([] {
    waiting_fibers waiting{3};

    waiting.queue.wake_all(wake_reason::closed);
    yield();

    EXPECT_EQ(waiting.woken, (std::vector{0, 1, 2}));
    EXPECT_EQ(waiting.reasons, std::vector(3, wake_reason::closed));
  });
}

TEST_F(WaitQueue, a_wake_up_for_a_waiter_that_was_cancelled_before_goes_to_the_next) {
  run([] {
    waiting_fibers waiting{2};
    waiting.fibers[0].request_cancel();  // claimed, but still in the queue

    EXPECT_TRUE(waiting.queue.wake_one(wake_reason::ready));
    yield();

    EXPECT_EQ(waiting.woken, (std::vector{0, 1}));
    EXPECT_EQ(waiting.reasons, (std::vector{wake_reason::cancelled, wake_reason::ready}));
  });
}

TEST_F(WaitQueue, a_cancelled_waiter_leaves_the_queue) {
  run([] {
    waiting_fibers waiting{3};

    waiting.fibers[1].request_cancel();
    yield();
    waiting.queue.wake_all(wake_reason::ready);
    yield();

    EXPECT_EQ(waiting.woken, (std::vector{1, 0, 2}));
  });
}

TEST_F(WaitQueue, a_cancellation_after_the_wake_up_does_not_change_the_reason) {
  run([] {
    waiting_fibers waiting{1};

    waiting.queue.wake_one(wake_reason::ready);
    waiting.fibers[0].request_cancel();
    yield();

    EXPECT_EQ(waiting.reasons, std::vector{wake_reason::ready});
  });
}

TEST_F(WaitQueue, a_wait_ends_at_its_deadline_and_leaves_the_queue) {
  run([] {
    wait_queue queue;
    const auto deadline = steady_clock::now() + 2ms;

    EXPECT_EQ(wait(queue, deadline), wake_reason::timed_out);

    EXPECT_GE(steady_clock::now(), deadline);
    EXPECT_TRUE(queue.empty());
  });
}

TEST_F(WaitQueue, a_wait_that_is_woken_leaves_no_timer_for_the_next) {
  weft::testing::virtual_clock time;
  run(
      [] {
        wait_queue queue;
        wake_reason second = wake_reason::none;
        auto waiting = spawn([&] {
          EXPECT_EQ(wait(queue, weft::clock::now() + 5ms), wake_reason::ready);
          second = wait(queue);
        });
        yield();

        queue.wake_one(wake_reason::ready);
        weft::this_fiber::sleep_for(20ms);
        EXPECT_EQ(second, wake_reason::none);
        queue.wake_one(wake_reason::closed);
        waiting.join();

        EXPECT_EQ(second, wake_reason::closed);
      },
      {.clock = &time});
}

TEST_F(WaitQueue, a_wait_that_ignores_cancellation_is_not_ended_by_it) {
  run([] {
    wait_queue queue;
    wake_reason reason = wake_reason::none;
    auto waiting =
        spawn([&] { reason = wait(queue, weft::detail::no_deadline, cancellation::ignored); });
    yield();

    waiting.request_cancel();
    yield();
    EXPECT_EQ(reason, wake_reason::none);
    queue.wake_one(wake_reason::ready);
    waiting.join();

    EXPECT_EQ(reason, wake_reason::ready);
  });
}

TEST_F(WaitQueue, a_cancelled_fiber_does_not_even_enter_it) {
  run([] {
    wait_queue queue;
    weft::fiber<> self;
    self = spawn([&] {
      self.request_cancel();
      EXPECT_EQ(wait(queue), wake_reason::cancelled);
      EXPECT_TRUE(queue.empty());
    });
    self.join();
  });
}

TEST_F(WaitQueue, calls_that_succeed_without_waiting_give_way_after_64) {
  run([] {
    int calls = 0;
    auto busy = spawn([&] {
      for (; calls < 1'000; ++calls) weft::detail::spend_budget();
    });

    yield();

    EXPECT_EQ(calls, 63);
    busy.join();
    EXPECT_EQ(calls, 1'000);
  });
}

// ---- groups ------------------------------------------------------------------------------------

TEST_F(FiberGroup, waiting_for_it_is_waiting_for_all_its_fibers) {
  run([] {
    fiber_group group;
    int ended = 0;
    std::error_code ec;
    for (int i = 0; i < 10; ++i) {
      group.spawn(
          {},
          [&ended, i] {
            for (int turn = 0; turn < i; ++turn) yield();
            ++ended;
          },
          ec);
    }
    EXPECT_EQ(group.size(), 10u);

    EXPECT_TRUE(group.wait_empty(weft::detail::no_deadline, cancellation::honoured));

    EXPECT_EQ(ended, 10);
    EXPECT_EQ(group.size(), 0u);
  });
}

TEST_F(FiberGroup, an_empty_one_is_not_waited_for) {
  run([] {
    fiber_group group;

    EXPECT_TRUE(group.wait_empty(steady_clock::time_point::min(), cancellation::honoured));
  });
}

TEST_F(FiberGroup, cancelling_it_cancels_all_its_fibers) {
  run([] {
    fiber_group group;
    int cancelled = 0;
    std::error_code ec;
    for (int i = 0; i < 10; ++i) {
      group.spawn(
          {},
          [&] {
            std::error_code seen;
            weft::this_fiber::sleep_for(24h, seen);
            cancelled += seen == weft::errc::cancelled ? 1 : 0;
          },
          ec);
    }
    yield();
    group.spawn(
        {}, [&] { cancelled += 100; }, ec);

    group.cancel_all();
    group.wait_empty(weft::detail::no_deadline, cancellation::ignored);

    EXPECT_EQ(cancelled, 10);
  });
}

TEST_F(FiberGroup, a_wait_for_it_may_end_before_its_fibers) {
  run([] {
    fiber_group group;
    std::error_code ec;
    group.spawn(
        {}, [] { weft::this_fiber::sleep_for(24h); }, ec);
    yield();

    EXPECT_FALSE(group.wait_empty(steady_clock::now() + 1ms, cancellation::honoured));
    auto waiting = spawn(
        [&] { EXPECT_FALSE(group.wait_empty(weft::detail::no_deadline, cancellation::honoured)); });
    yield();
    waiting.request_cancel();
    waiting.join();

    group.cancel_all();
    EXPECT_TRUE(group.wait_empty(weft::detail::no_deadline, cancellation::honoured));
  });
}

TEST_F(FiberGroup, a_spawn_that_fails_leaves_nothing_in_it) {
  run([] {
    fiber_group group;
    std::error_code ec;
    const weft::test::throws_when_copied function;

    EXPECT_THROW(group.spawn({}, function, ec), std::runtime_error);
    group.spawn(
        {.stack_size = std::size_t{1} << 40}, [] {}, ec);

    EXPECT_EQ(ec, std::errc::invalid_argument);
    EXPECT_EQ(group.size(), 0u);
  });
}

TEST_F(FiberGroup, a_fiber_that_is_cancelled_while_it_is_being_spawned_never_runs) {
  run([] {
    fiber_group group;
    bool ran = false;
    auto canceller = spawn([&] { group.cancel_all(); });
    const weft::test::yields_when_copied function{ran};
    std::error_code ec;

    group.spawn({}, function, ec);
    group.wait_empty(weft::detail::no_deadline, cancellation::ignored);

    EXPECT_FALSE(ran);
    canceller.join();
  });
}

TEST_F(FiberGroupDeath, one_that_is_destroyed_before_its_fibers_have_ended_ends_the_process) {
  EXPECT_EXIT(
      {
        enter_death_test();
        weft::run([] {
          fiber_group group;
          std::error_code ec;
          group.spawn(
              {}, [] {}, ec);
        });
      },
      testing::KilledBySignal(SIGABRT), "group was destroyed before");
}

}  // namespace
