// Fiber locals: one value a fiber, made when it is looked at, by whatever task.
#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>

#include "on_both.hpp"
#include "on_destruction.hpp"
#include "players.hpp"
#include "scheduler.hpp"

namespace {

using namespace std::chrono_literals;
using weft::fiber_local;
using weft::spawn;
using weft::spawn_on;
using weft::test::on_destruction;
using weft::this_fiber::sleep_for;
using weft::this_fiber::yield;

class FiberLocal : public weft::test::on_both_test {};

// ---- one value a fiber -------------------------------------------------------------------------

TEST_F(FiberLocal, is_made_at_the_first_look_and_stays) {
  on_both([] {
    int made = 0;
    const fiber_local<int> local{[&] { return ++made * 10; }};
    EXPECT_EQ(local.get_if(), nullptr);
    EXPECT_EQ(made, 0);

    EXPECT_EQ(local.get(), 10);
    *local += 1;

    EXPECT_EQ(local.get(), 11);
    EXPECT_EQ(local.get_if(), &*local);
    EXPECT_EQ(made, 1);
  });
}

TEST_F(FiberLocal, begins_as_a_value_initialised_object_without_an_initializer) {
  on_both([] {
    const fiber_local<int> number;
    const fiber_local<std::string> text;

    EXPECT_EQ(*number, 0);
    EXPECT_TRUE(text->empty());
  });
}

TEST_F(FiberLocal, may_be_of_a_type_that_cannot_be_moved) {
  on_both([] {
    const fiber_local<std::atomic<int>> local{[] { return std::atomic<int>{7}; }};

    EXPECT_EQ(local->load(), 7);
  });
}

TEST_F(FiberLocal, is_another_in_each_fiber_and_thread) {
  run(
      [] {
        const fiber_local<int> local;
        weft::test::players all;
        std::atomic<int> right = 0;
        *local = -1;
        for (int i = 0; i < 12; ++i) {
          all.start(weft::test::places[i % 3], [&, i] {
            EXPECT_EQ(local.get_if(), nullptr);
            *local = i;
            for (int turn = 0; turn < 10; ++turn) yield();
            right += *local == i ? 1 : 0;
          });
        }
        all.join();

        EXPECT_EQ(right, 12);
        EXPECT_EQ(*local, -1);
      },
      {.workers = 2});
}

TEST_F(FiberLocal, the_next_fiber_on_the_same_stack_and_block_begins_anew) {
  run([] {
    const fiber_local<int> local;
    for (int i = 0; i < 10; ++i) spawn([&] { EXPECT_EQ((*local)++, 0); }).join();
  });
}

TEST_F(FiberLocal, is_not_inherited) {
  run([] {
    const fiber_local<int> local;
    *local = 7;
    auto child = spawn([&] { return *local; });
    child.join();

    EXPECT_EQ(child.result(), 0);
  });
}

TEST_F(FiberLocal, a_constructor_that_throws_leaves_none_and_is_tried_again) {
  on_both([] {
    int tries = 0;
    const fiber_local<int> local{[&] {
      if (++tries == 1) throw std::out_of_range("the first time");
      return 7;
    }};

    EXPECT_THROW(local.get(), std::out_of_range);
    EXPECT_EQ(local.get_if(), nullptr);
    EXPECT_EQ(*local, 7);
  });
}

TEST_F(FiberLocal, the_initializer_may_wait_and_use_others) {
  run([] {
    const fiber_local<int> inner{[] {
      sleep_for(1ms);
      return 7;
    }};
    const fiber_local<int> outer{[&] { return *inner + 1; }};
    auto one = spawn([&] { return *outer; });
    auto two = spawn([&] { return *outer; });
    one.join();
    two.join();

    EXPECT_EQ(one.result(), 8);
    EXPECT_EQ(two.result(), 8);
  });
}

TEST_F(FiberLocal, reset_destroys_the_value_of_the_caller_at_once) {
  on_both([] {
    int destroyed = 0;
    const fiber_local<int> other;
    const fiber_local<on_destruction> local{[&] { return on_destruction{[&] { ++destroyed; }}; }};
    *other = 7;
    local.reset();
    local.get();
    *other += 1;

    local.reset();

    EXPECT_EQ(destroyed, 1);
    EXPECT_EQ(local.get_if(), nullptr);
    EXPECT_EQ(*other, 8);
  });
}

TEST_F(FiberLocal, a_fiber_that_uses_none_has_nothing_to_carry) {
  run([] {
    const fiber_local<int> local;
    const auto carries_something = [] {
      return weft::detail::scheduler::running()->current().extras != nullptr;
    };
    auto without = spawn([&] {
      static_cast<void>(local.get_if());
      return carries_something();
    });
    auto with = spawn([&] {
      *local = 1;
      return carries_something();
    });
    without.join();
    with.join();

    EXPECT_FALSE(without.result());
    EXPECT_TRUE(with.result());
  });
}

// ---- the object goes first ---------------------------------------------------------------------

TEST_F(FiberLocal, values_outlive_their_object_until_their_tasks_end) {
  run(
      [] {
        std::atomic<int> have_one = 0;
        std::atomic<int> destroyed = 0;
        std::atomic<bool> may_end = false;
        auto local = std::make_unique<fiber_local<on_destruction>>(
            [&] { return on_destruction{[&] { ++destroyed; }}; });
        weft::test::players all;
        for (int i = 0; i < 9; ++i) {
          all.start(weft::test::places[i % 3], [&] {
            local->get();
            ++have_one;
            weft::test::wait_until([&] { return may_end.load(); });
          });
        }
        weft::test::wait_until([&] { return have_one == 9; });

        local.reset();
        EXPECT_EQ(destroyed, 0);
        may_end = true;
        all.join();

        EXPECT_EQ(destroyed, 9);
      },
      {.workers = 2});
}

TEST_F(FiberLocal, one_that_comes_after_another_at_its_place_has_nothing_of_its_values) {
  on_both([] {
    std::optional<fiber_local<int>> local{std::in_place};
    **local = 7;

    local.emplace();

    EXPECT_EQ(**local, 0);
  });
}

// ---- load --------------------------------------------------------------------------------------

TEST_F(FiberLocal, nothing_is_lost_while_fibers_of_all_workers_end_and_are_cancelled) {
  weft::test::seeded random{weft::test::new_seed()};
  std::atomic<int> alive = 0;
  const auto tracked = [&] {
    ++alive;
    return on_destruction{[&] {
      std::error_code ec;
      sleep_for(50us, ec);
      --alive;
    }};
  };
  const fiber_local<on_destruction> one{tracked};
  const fiber_local<on_destruction> two{tracked};
  run(
      [&] {
        for (int i = 0; i < weft::test::stress_operations / 20; ++i) {
          const unsigned plan = random.below(1'000);
          auto child = spawn_on(random.below(3), [&, plan] {
            if (plan % 2 == 0) one.get();
            if (plan % 3 == 0) two.get();
            if (plan % 5 == 0) sleep_for(std::chrono::microseconds(plan));
            if (plan % 7 == 0) one.reset();
          });
          for (unsigned turn = random.below(10); turn > 0; --turn) yield();
          if (plan % 4 == 0) child.join();
        }
        EXPECT_EQ(alive, 0);
      },
      {.workers = 3});
}

}  // namespace
