// Waits for the first of several things: one reason, no wake-up lost to a wait that has ended, on
// fibers and plain threads.
#include <array>
#include <chrono>
#include <deque>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>
#include <weft/fiber/detail/biased_lock.hpp>
#include <weft/fiber/detail/composite_wait.hpp>
#include <weft/fiber/testing.hpp>

#include "fiber/players.hpp"
#include "support/runtime_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using weft::spawn;
using weft::detail::cancellation;
using weft::detail::composite_wait;
using weft::detail::no_deadline;
using weft::detail::wait_queue;
using weft::detail::wake_reason;
using weft::test::players;

class CompositeWait : public weft::test::runtime_test {};

using three_queues = std::array<wait_queue, 3>;

// Waits in all of them.
wake_reason wait_in(three_queues& queues,
                    weft::detail::deadline_clock::time_point deadline = no_deadline) {
  std::array<composite_wait::entry, 3> places;
  composite_wait several;
  for (std::size_t i = 0; i < queues.size(); ++i) {
    queues[i].lock.lock();
    several.publish(places[i], queues[i].list, queues[i].lock);
  }
  return several.wait(deadline, cancellation::honoured);
}

bool all_empty(three_queues& queues) {
  return queues[0].empty() && queues[1].empty() && queues[2].empty();
}

TEST_F(CompositeWait, ends_by_the_first_of_its_queues_that_is_woken_and_leaves_the_others) {
  run([] {
    for (std::size_t which = 0; which < 3; ++which) {
      three_queues queues;
      auto waiting = spawn([&] { return wait_in(queues); });
      weft::testing::all_blocked();

      EXPECT_TRUE(queues[which].wake_one(wake_reason::ready));
      EXPECT_FALSE(queues[(which + 1) % 3].wake_one(wake_reason::ready));
      waiting.join();

      EXPECT_EQ(waiting.result(), wake_reason::ready);
      EXPECT_TRUE(all_empty(queues));
    }
  });
}

TEST_F(CompositeWait, a_wake_up_that_it_cannot_take_goes_to_the_next_in_that_queue) {
  run([] {
    three_queues queues;
    auto several = spawn([&] { return wait_in(queues); });
    weft::testing::all_blocked();
    auto single = spawn([&] { return weft::detail::wait(queues[1]); });
    weft::testing::all_blocked();

    EXPECT_TRUE(queues[0].wake_one(wake_reason::ready));
    EXPECT_TRUE(queues[1].wake_one(wake_reason::closed));
    several.join();
    single.join();

    EXPECT_EQ(several.result(), wake_reason::ready);
    EXPECT_EQ(single.result(), wake_reason::closed);
  });
}

TEST_F(CompositeWait, ends_with_its_deadline_and_is_in_no_queue_then) {
  run([] {
    three_queues queues;

    EXPECT_EQ(wait_in(queues, weft::clock::now() + 1ms), wake_reason::timed_out);

    EXPECT_TRUE(all_empty(queues));
  });
}

TEST_F(CompositeWait, ends_when_its_task_is_cancelled) {
  run([] {
    three_queues queues;
    auto waiting = spawn([&] { return wait_in(queues); });
    weft::testing::all_blocked();

    waiting.request_cancel();
    waiting.join();

    EXPECT_EQ(waiting.result(), wake_reason::cancelled);
    EXPECT_TRUE(all_empty(queues));
  });
}

TEST_F(CompositeWait, can_be_abandoned_half_published) {
  run([] {
    three_queues queues;
    std::array<composite_wait::entry, 3> places;

    {
      composite_wait several;
      queues[0].lock.lock();
      several.publish(places[0], queues[0].list, queues[0].lock);
      EXPECT_TRUE(several.abandon());
      EXPECT_EQ(several.wait(no_deadline, cancellation::honoured), wake_reason::ready);
    }

    EXPECT_TRUE(all_empty(queues));
    EXPECT_EQ(wait_in(queues, weft::clock::now() + 1ms), wake_reason::timed_out);
  });
}

TEST_F(CompositeWait, takes_locks_of_different_kinds) {
  run([] {
    wait_queue plain;
    weft::detail::biased_lock biased;
    weft::detail::wait_list list;
    auto waiting = spawn([&] {
      std::array<composite_wait::entry, 2> places;
      composite_wait several;
      biased.lock();
      several.publish(places[0], list, biased);
      plain.lock.lock();
      several.publish(places[1], plain.list, plain.lock);
      return several.wait(no_deadline, cancellation::honoured);
    });
    weft::this_fiber::yield();

    EXPECT_TRUE(plain.wake_one(wake_reason::ready));
    waiting.join();

    EXPECT_EQ(waiting.result(), wake_reason::ready);
    EXPECT_TRUE(plain.empty());
    EXPECT_TRUE(list.empty());
  });
}

TEST_F(CompositeWait, takes_the_wake_up_that_comes_before_it_is_abandoned) {
  run([] {
    three_queues queues;
    std::array<composite_wait::entry, 3> places;
    composite_wait several;
    queues[0].lock.lock();
    several.publish(places[0], queues[0].list, queues[0].lock);
    std::thread{[&] { EXPECT_TRUE(queues[0].wake_one(wake_reason::closed)); }}.join();

    EXPECT_FALSE(several.abandon());

    EXPECT_EQ(several.wait(no_deadline, cancellation::honoured), wake_reason::closed);
  });
}

TEST_F(CompositeWait, blocks_a_plain_thread) {
  three_queues queues;
  wake_reason reason = wake_reason::none;
  std::thread waiting{[&] { reason = wait_in(queues); }};

  while (!queues[2].wake_one(wake_reason::ready)) std::this_thread::yield();
  waiting.join();

  EXPECT_EQ(reason, wake_reason::ready);
  EXPECT_TRUE(all_empty(queues));
}

// Every wake-up that a queue says it has given reaches exactly one wait, whoever waits.
TEST_F(CompositeWait, no_wake_up_is_lost_or_doubled_between_workers_and_threads) {
  const unsigned seed = weft::test::new_seed();
  weft::test::seeded trace{seed};
  run(
      [&] {
        three_queues queues;
        std::atomic<int> woken = 0;
        std::atomic<int> given = 0;
        std::atomic<int> waiting = 6;
        players all;
        for (int who = 0; who < 6; ++who) {
          all.start(weft::test::places[who % 3], [&] {
            constexpr int rounds = weft::test::stress_operations / 20;
            for (int i = 0; i < rounds; ++i) {
              const auto deadline = weft::clock::now() + std::chrono::microseconds{i % 300};
              if (wait_in(queues, deadline) == wake_reason::ready) ++woken;
            }
            --waiting;
          });
        }
        unsigned first = seed;  // a queue for each to begin with
        for (const auto where : weft::test::places) {
          all.start(where, [&, begin = first++] {
            for (unsigned i = begin; waiting != 0; ++i) {
              if (queues[i % 3].wake_one(wake_reason::ready)) ++given;
              weft::this_fiber::yield();
            }
          });
        }
        all.join();

        EXPECT_EQ(woken, given);
        EXPECT_TRUE(all_empty(queues));
      },
      {.workers = 2});
}

}  // namespace
