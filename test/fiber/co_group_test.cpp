// Task groups of coroutines, and groups that coroutines join.
#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <vector>

#include <gtest/gtest.h>

#include <weft/co.hpp>
#include <weft/fiber/diagnostics.hpp>
#include <weft/fiber/task_group.hpp>

#include "players.hpp"

namespace {

using namespace std::chrono_literals;
using weft::task_group;
using weft::co::block_on;
using weft::co::spawn;
using weft::co::task;
using weft::this_fiber::yield;

class CoGroup : public weft::test::runtime_test {};

static_assert(weft::group_function<task<>> && !weft::group_function<task<>&>,
              "a task with a name has to be moved into the group");

task<int> after_a_turn(int value) {
  co_await weft::co::yield();
  co_return value;
}

TEST_F(CoGroup, a_task_for_a_worker_that_is_not_there_is_refused_and_that_is_all_that_is_said) {
  bool said_more = false;
  weft::set_diagnostics_sink([&](std::string_view) { said_more = true; });
  run([] {
    task_group group;
    std::error_code ec;
    EXPECT_FALSE(group.spawn_on(9, {}, after_a_turn(1), ec));
    EXPECT_EQ(ec, std::errc::invalid_argument);
    group.join();
  });
  weft::set_diagnostics_sink({});
  EXPECT_FALSE(said_more);
}

// A function that knows nothing of coroutines, and leaves its group to the destructor.
void leave_a_group_to_its_destructor(int& ended, bool by_exception) {
  task_group group;
  group.spawn([&ended] {
    yield();
    ++ended;
  });
  if (by_exception) throw std::out_of_range("left");
}

TEST_F(CoGroup, of_a_function_that_a_coroutine_calls_is_waited_for_there) {
  run([] {
    int ended = 0;
    auto calling = spawn([&]() -> task<> {
      leave_a_group_to_its_destructor(ended, false);
      EXPECT_EQ(ended, 1);
      EXPECT_THROW(leave_a_group_to_its_destructor(ended, true), std::out_of_range);
      co_await weft::co::yield();
    });
    calling.join();
    calling.result();
  });
}

TEST_F(CoGroup, on_the_heap_of_a_function_that_a_coroutine_calls_is_waited_for_there) {
  run([] {
    bool ended = false;
    const auto keep_a_group = [&] {
      const auto group = std::make_unique<task_group>();
      group->spawn([&] {
        yield();
        ended = true;
      });
    };
    auto calling = spawn([&]() -> task<> {
      keep_a_group();
      EXPECT_TRUE(ended);
      co_await weft::co::yield();
      ended = false;
      keep_a_group();
      EXPECT_TRUE(ended);
    });
    calling.join();
    calling.result();
  });
}

TEST_F(CoGroup, waits_for_tasks_functions_and_fibers_alike) {
  run([] {
    int sum = 0;
    auto add = [&](int value) -> task<> {
      co_await weft::co::yield();
      sum += value;
    };
    auto joining = spawn([&]() -> task<> {
      task_group group;
      group.spawn(add(1));
      group.spawn([&] { return add(10); });
      group.spawn([&] { sum += 100; });
      EXPECT_EQ(group.size(), 3u);
      co_await group.co_join();
      EXPECT_EQ(group.size(), 0u);
      EXPECT_EQ(sum, 111);
    });
    joining.join();
    joining.result();
  });
}

TEST_F(CoGroup, hands_out_what_its_coroutines_return) {
  run([] {
    auto joining = spawn([]() -> task<int> {
      task_group group;
      auto one = group.spawn(after_a_turn(1));
      auto two = group.spawn([] { return after_a_turn(2); });
      co_await one.co_join();
      co_await group.co_join();
      co_return one.result() + two.result();
    });
    joining.join();
    EXPECT_EQ(joining.result(), 3);
  });
}

TEST_F(CoGroup, throws_what_failed_first_and_cancels_the_others) {
  run([] {
    auto joining = spawn([]() -> task<> {
      task_group group;
      auto sleeper = group.spawn([]() -> task<> { co_await weft::co::sleep_for(24h); });
      group.spawn([]() -> task<> {
        co_await weft::co::yield();
        throw std::out_of_range("first");
      });
      bool thrown = false;
      try {
        co_await group.co_join();
      } catch (const std::out_of_range&) {
        thrown = true;
      }
      EXPECT_TRUE(thrown);
      EXPECT_EQ(sleeper.state(), weft::fiber_state::cancelled);
      EXPECT_EQ(group.errors().size(), 1u);
    });
    joining.join();
    joining.result();
  });
}

TEST_F(CoGroup, of_a_coroutine_that_is_cancelled_is_cancelled_and_waited_for) {
  run([] {
    int unwound = 0;
    auto joining = spawn([&]() -> task<> {
      task_group group;
      for (int i = 0; i < 10; ++i) {
        group.spawn([&]() -> task<> {
          std::error_code ec;
          co_await weft::co::sleep_for(24h, ec);
          for (int turn = 0; turn < 5; ++turn) co_await weft::co::yield();
          ++unwound;
        });
      }
      std::error_code ec;
      co_await group.co_join(ec);
      EXPECT_EQ(ec, weft::errc::cancelled);
      EXPECT_EQ(unwound, 10);
      co_await group.co_join(ec);
      EXPECT_EQ(ec, weft::errc::cancelled);
    });
    weft::testing::all_blocked();

    joining.request_cancel();
    joining.join();

    joining.result();
  });
}

TEST_F(CoGroup, left_by_an_exception_waits_for_its_coroutines_if_it_is_of_a_block) {
  run([] {
    bool unwound = false;
    auto leaving = spawn([&]() -> task<> {
      co_await weft::co::with_task_group([&](task_group& group) -> task<> {
        group.spawn([&]() -> task<> {
          std::error_code ec;
          co_await weft::co::sleep_for(24h, ec);
          EXPECT_EQ(ec, weft::errc::cancelled);
          unwound = true;
        });
        co_await weft::co::yield();
        throw std::runtime_error("leaves");
      });
    });
    leaving.join();

    EXPECT_THROW(leaving.result(), std::runtime_error);
    EXPECT_TRUE(unwound);
  });
}

TEST_F(CoGroup, of_a_block_throws_what_a_task_of_it_has_thrown) {
  run([] {
    auto failing = spawn([]() -> task<> {
      co_await weft::co::with_task_group([](task_group& group) -> task<> {
        group.spawn([]() -> task<> {
          co_await weft::co::yield();
          throw std::out_of_range("a task");
        });
        co_return;
      });
    });
    failing.join();

    EXPECT_THROW(failing.result(), std::out_of_range);
  });
}

using CoGroupDeath = CoGroup;

TEST_F(CoGroupDeath, that_goes_in_a_coroutine_before_its_tasks_have_ended_ends_the_process) {
  const auto leave_a_group = [] {
    enter_death_test();
    weft::run([] {
      block_on([]() -> task<> {
        auto leaving = spawn([]() -> task<> {
          task_group group;
          group.spawn([] { weft::this_fiber::sleep_for(24h); });
          co_await weft::co::yield();
        });
        co_await leaving.co_join();
      }());
    });
  };

  EXPECT_DEATH(leave_a_group(), "a task_group was destroyed in a coroutine before its tasks");
}

// What lives across no co_await clang keeps on the stack: such a group waits, as in a function.
task<> leave_a_group_unjoined() {
  task_group group;
  group.spawn([] { weft::this_fiber::sleep_for(24h); });
  co_await weft::co::yield();
}

TEST_F(CoGroupDeath, that_goes_in_a_coroutine_of_block_on_does_so_too) {
  const auto leave_a_group = [] {
    enter_death_test();
    weft::run([] { weft::spawn([] { block_on(leave_a_group_unjoined()); }).join(); });
  };

  EXPECT_DEATH(leave_a_group(), "a task_group was destroyed in a coroutine before its tasks");
}

TEST_F(CoGroupDeath, that_goes_in_a_coroutine_that_another_awaits_does_so_too) {
  const auto leave_a_group = [] {
    enter_death_test();
    weft::run([] { spawn([]() -> task<> { co_await leave_a_group_unjoined(); }).join(); });
  };

  EXPECT_DEATH(leave_a_group(), "a task_group was destroyed in a coroutine before its tasks");
}

TEST_F(CoGroup, that_is_empty_may_go_in_a_coroutine_without_a_join) {
  run([] {
    auto leaving = spawn([]() -> task<> {
      task_group group;
      auto child = group.spawn(after_a_turn(3));
      co_await child.co_join();
      EXPECT_EQ(child.result(), 3);
    });
    leaving.join();

    leaving.result();
  });
}

TEST_F(CoGroup, joined_by_one_of_its_own_coroutines_is_an_error) {
  run([] {
    task_group group;
    group.spawn([&]() -> task<> {
      std::error_code ec;
      co_await group.co_join(ec);
      EXPECT_EQ(ec, std::errc::resource_deadlock_would_occur);
    });
    group.join();
  });
}

TEST_F(CoGroup, is_joined_by_several_at_once) {
  run([] {
    weft::event go;
    task_group group;
    int joined = 0;
    group.spawn([&]() -> task<> { co_await go.co_wait(); });
    auto coroutine = [&]() -> task<> {
      co_await group.co_join();
      ++joined;
    };
    auto one = spawn(coroutine);
    auto two = spawn(coroutine);
    auto three = weft::spawn([&] {
      group.join();
      ++joined;
    });
    weft::testing::all_blocked();
    EXPECT_EQ(joined, 0);

    go.set();
    one.join();
    two.join();
    three.join();

    EXPECT_EQ(joined, 3);
  });
}

TEST_F(CoGroup, joined_when_a_timeout_expires_ends_its_coroutines_and_says_so) {
  weft::testing::virtual_clock time;
  run(
      [] {
        auto joining = spawn([]() -> task<> {
          task_group group;
          group.spawn([]() -> task<> { co_await weft::co::sleep_for(24h); });
          const weft::timeout limit{1s};
          std::error_code ec;
          co_await group.co_join(ec);
          EXPECT_EQ(ec, weft::errc::timed_out);
        });
        joining.join();
        joining.result();
      },
      {.clock = &time});
}

TEST_F(CoGroup, spawns_on_other_workers) {
  run(
      [] {
        std::atomic<int> ended = 0;
        auto leaf = [&]() -> task<> {
          co_await weft::co::yield();
          ++ended;
        };
        auto joining = spawn([&]() -> task<> {
          task_group group;
          for (unsigned i = 0; i < 100; ++i) {
            group.spawn_on(i % 2, leaf);
            group.spawn_anywhere(leaf);
          }
          co_await group.co_join();
          EXPECT_EQ(ended, 200);
        });
        joining.join();
        joining.result();
      },
      {.workers = 2});
}

TEST_F(CoGroup, with_failures_and_cancellations_at_random_leaves_nobody) {
  // Those of a group whose join was cancelled are retrieved by nobody.
  weft::set_unhandled_error_handler([](const weft::unhandled_error&) {});
  run(
      [] {
        weft::test::seeded random{weft::test::new_seed()};
        for (int i = 0; i < weft::test::stress_operations / 50; ++i) {
          const unsigned failing = random.below(12);
          const unsigned turns = random.below(4);
          std::atomic<int> live = 0;
          auto joining = weft::co::spawn_on(random.below(2), [&]() -> task<> {
            task_group group;
            for (unsigned k = 0; k < 8; ++k) {
              group.spawn_on(k % 2, [&live, failing, k]() -> task<> {
                ++live;
                std::error_code ec;
                co_await weft::co::sleep_for(std::chrono::microseconds(k * 10), ec);
                --live;
                if (k == failing) throw std::runtime_error("reason");
              });
            }
            try {
              co_await group.co_join();
            } catch (const std::exception&) {
            }
            EXPECT_EQ(group.size(), 0u);
            EXPECT_EQ(live, 0);
          });
          for (unsigned turn = 0; turn < turns; ++turn) yield();
          if (turns % 2 == 1) joining.request_cancel();
          joining.join();
        }
      },
      {.workers = 2});
  weft::set_unhandled_error_handler({});
}

}  // namespace
