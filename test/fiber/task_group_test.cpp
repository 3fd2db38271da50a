// Task groups: who waits for whom, how fibers are spawned into them, what their children give.
#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>

#include "copied_functions.hpp"
#include "players.hpp"
#include "sleepers.hpp"
#include "support/runtime_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using weft::errc;
using weft::fiber_state;
using weft::spawn;
using weft::task_group;
using weft::test::long_sleep;
using weft::test::throws_when_copied;
using weft::test::wait_until;
using weft::test::yields_when_copied;
using weft::this_fiber::sleep_for;
using weft::this_fiber::yield;

class TaskGroup : public weft::test::runtime_test {};

using TaskGroupDeath = TaskGroup;

// ---- waiting -----------------------------------------------------------------------------------

// Each on one of three workers, and each takes longer to end than the one before.
void spawn_thirty(task_group& group, std::atomic<int>& ended) {
  for (unsigned i = 0; i < 30; ++i) {
    group.spawn_on(i % 3, [&ended, i] {
      for (unsigned turn = 0; turn < i; ++turn) sleep_for(10us);
      ++ended;
    });
  }
}

TEST_F(TaskGroup, leaving_it_waits_for_all_and_cancels_none) {
  run(
      [] {
        std::atomic<int> ended = 0;
        {
          task_group group;
          spawn_thirty(group, ended);
        }
        EXPECT_EQ(ended, 30);
      },
      {.workers = 3});
}

TEST_F(TaskGroup, join_waits_for_all_on_all_workers) {
  run(
      [] {
        std::atomic<int> ended = 0;
        task_group group;
        spawn_thirty(group, ended);

        group.join();

        EXPECT_EQ(ended, 30);
        EXPECT_EQ(group.size(), 0u);
      },
      {.workers = 3});
}

TEST_F(TaskGroup, an_empty_one_is_joined_at_once_and_gives_way_to_others) {
  run([] {
    task_group group;
    bool other_ran = false;
    auto other = spawn([&] { other_ran = true; });

    for (int i = 0; i < 64; ++i) group.join();

    EXPECT_TRUE(other_ran);
  });
}

TEST_F(TaskGroup, its_size_is_how_many_have_not_ended) {
  run([] {
    task_group group;
    bool may_end = false;
    for (int i = 0; i < 3; ++i) {
      group.spawn([&, i] {
        while (i > 0 && !may_end) yield();
      });
    }
    EXPECT_EQ(group.size(), 3u);

    yield();
    EXPECT_EQ(group.size(), 2u);
    may_end = true;
    group.join();
    EXPECT_EQ(group.size(), 0u);
  });
}

TEST_F(TaskGroup, fibers_that_its_fibers_spawn_into_it_are_joined_too) {
  run(
      [] {
        std::atomic<int> ended = 0;
        task_group group;
        struct nest {
          task_group& group;
          std::atomic<int>& ended;
          unsigned depth;

          void operator()() const {
            sleep_for(50us);
            if (depth > 0) {
              group.spawn_on(depth % 2, nest{group, ended, depth - 1});
              group.spawn(nest{group, ended, depth - 1});
            }
            ++ended;
          }
        };
        group.spawn(nest{group, ended, 5});

        group.join();

        EXPECT_EQ(ended, 63);
      },
      {.workers = 2});
}

TEST_F(TaskGroup, it_may_be_joined_again_after_more_was_spawned) {
  run([] {
    task_group group;
    int ran = 0;
    for (int i = 1; i <= 3; ++i) {
      group.spawn([&] { ++ran; });
      group.join();
      EXPECT_EQ(ran, i);
    }
  });
}

TEST_F(TaskGroup, several_join_it_at_once) {
  run(
      [] {
        task_group group;
        std::atomic<bool> may_end = false;
        std::atomic<int> joined = 0;
        group.spawn([&] { wait_until([&] { return may_end.load(); }); });
        weft::test::players joiners;
        for (const auto where : weft::test::places) {
          joiners.start(where, [&] {
            group.join();
            ++joined;
          });
        }
        for (int i = 0; i < 10; ++i) yield();
        EXPECT_EQ(joined, 0);

        may_end = true;
        joiners.join();

        EXPECT_EQ(joined, 3);
      },
      {.workers = 2});
}

TEST_F(TaskGroup, joining_it_by_one_of_its_fibers_would_be_a_deadlock) {
  run([] {
    task_group group;
    std::error_code ec;
    bool thrown = false;
    group.spawn([&] {
      group.join(ec);
      try {
        group.join();
      } catch (const std::system_error& error) {
        thrown = error.code() == std::errc::resource_deadlock_would_occur;
      }
    });

    group.join();

    EXPECT_EQ(ec, std::errc::resource_deadlock_would_occur);
    EXPECT_TRUE(thrown);
  });
}

TEST_F(TaskGroupDeath, a_fiber_that_destroys_its_own_group_ends_the_process) {
  EXPECT_EXIT(
      {
        enter_death_test();
        weft::run([] {
          std::optional<task_group> group{std::in_place};
          group->spawn({.name = "suicidal"}, [&] { group.reset(); });
          yield();
        });
      },
      testing::KilledBySignal(SIGABRT), "destroyed the task_group.*\"suicidal\"");
}

// ---- spawning ----------------------------------------------------------------------------------

TEST_F(TaskGroup, spawns_with_options_and_says_where) {
  run(
      [] {
        const auto home = std::this_thread::get_id();
        const auto who = [] {
          return std::pair{weft::this_fiber::name(), std::this_thread::get_id()};
        };
        task_group group;
        auto plain = group.spawn({.name = "plain"}, who);
        auto afar = group.spawn_on(1, {.name = "afar"}, who);
        auto anywhere = group.spawn_anywhere({.name = "anywhere"}, who);

        group.join();

        EXPECT_EQ(plain.result(), std::pair(std::string("plain"), home));
        EXPECT_EQ(afar.result().first, "afar");
        EXPECT_NE(afar.result().second, home);
        EXPECT_EQ(anywhere.result().first, "anywhere");
        EXPECT_EQ(anywhere.name(), "anywhere");
        EXPECT_NE(plain.get_id(), afar.get_id());
      },
      {.workers = 2});
}

TEST_F(TaskGroup, a_spawn_that_fails_is_an_error_in_both_conventions_and_leaves_nothing) {
  run([] {
    const weft::spawn_options too_large{.stack_size = (std::size_t{1} << 30) + 1};
    task_group group;
    std::vector<std::error_code> seen(3);

    EXPECT_FALSE(group.spawn(
        too_large, [] {}, seen[0]));
    EXPECT_FALSE(group.spawn_on(
        0, too_large, [] {}, seen[1]));
    EXPECT_FALSE(group.spawn_anywhere(
        too_large, [] {}, seen[2]));

    for (const auto& ec : seen) EXPECT_EQ(ec, std::errc::invalid_argument);
    EXPECT_THROW(group.spawn(too_large, [] {}), std::system_error);
    EXPECT_THROW(group.spawn_on(0, too_large, [] {}), std::system_error);
    EXPECT_THROW(group.spawn_on(9, [] {}), std::system_error);
    std::error_code ec;
    EXPECT_FALSE(group.spawn_on(
        9, {}, [] {}, ec));
    EXPECT_EQ(ec, std::errc::invalid_argument);
    EXPECT_THROW(group.spawn_anywhere(too_large, [] {}), std::system_error);
    EXPECT_EQ(group.size(), 0u);
    group.join();
  });
}

TEST_F(TaskGroup, a_function_that_cannot_be_copied_leaves_nothing_in_it) {
  run(
      [] {
        const throws_when_copied function;
        task_group group;

        EXPECT_THROW(group.spawn(function), std::runtime_error);
        EXPECT_THROW(group.spawn_on(1, function), std::runtime_error);

        EXPECT_EQ(group.size(), 0u);
      },
      {.workers = 2});
}

TEST_F(TaskGroup, a_fiber_that_is_being_spawned_is_waited_for) {
  run([] {
    bool ran = false;
    const yields_when_copied function{ran};
    task_group group;
    auto spawner = spawn([&] { group.spawn(function); });
    yield();
    EXPECT_EQ(group.size(), 1u);

    group.join();

    EXPECT_TRUE(ran);
  });
}

TEST_F(TaskGroup, a_fiber_that_is_cancelled_while_it_is_being_spawned_never_runs) {
  run([] {
    bool ran = false;
    const yields_when_copied function{ran};
    task_group group;
    auto canceller = spawn([&] { group.request_cancel(); });

    group.spawn(function);
    group.join();

    EXPECT_FALSE(ran);
  });
}

// ---- children ----------------------------------------------------------------------------------

TEST_F(TaskGroup, a_child_gives_what_its_function_returned) {
  run([] {
    int variable = 0;
    task_group group;
    auto value = group.spawn([] { return std::make_unique<int>(7); });
    auto reference = group.spawn([&]() -> int& { return variable; });
    auto nothing = group.spawn([] {});
    EXPECT_EQ(value.state(), fiber_state::pending);

    group.join();

    EXPECT_EQ(*value.result(), 7);
    EXPECT_EQ(*std::move(value).result(), 7);
    EXPECT_EQ(&reference.result(), &variable);
    EXPECT_NO_THROW(nothing.result());
    EXPECT_EQ(nothing.exception(), nullptr);
    EXPECT_TRUE(nothing.done());
  });
}

TEST_F(TaskGroup, a_child_is_joined_alone) {
  run([] {
    task_group group;
    auto first = group.spawn([] { return 1; });
    auto second = group.spawn([] { EXPECT_EQ(long_sleep(), errc::cancelled); });
    std::error_code ec = errc::eof;

    first.join(ec);

    EXPECT_EQ(ec, std::error_code{});
    EXPECT_EQ(first.result(), 1);
    EXPECT_FALSE(second.done());
    group.request_cancel();
    second.join();
  });
}

TEST_F(TaskGroup, dropping_a_child_neither_cancels_it_nor_waits) {
  run([] {
    bool ended = false;
    task_group group;
    auto child = group.spawn([&] {
      yield();
      ended = true;
    });

    child = {};
    EXPECT_FALSE(static_cast<bool>(child));
    EXPECT_FALSE(ended);
    group.join();

    EXPECT_TRUE(ended);
  });
}

TEST_F(TaskGroup, a_child_outlives_the_group_and_the_runtime) {
  task_group::child<std::string> value;
  task_group::child<> failure;
  run([&] {
    task_group group;
    value = group.spawn([] { return std::string(1'000, 'x'); });
    failure = group.spawn([] { throw std::out_of_range("kept"); });
  });

  EXPECT_EQ(value.result(), std::string(1'000, 'x'));
  EXPECT_THROW(failure.result(), std::out_of_range);
}

TEST_F(TaskGroup, cancelling_a_child_cancels_no_other_and_is_no_failure) {
  run([] {
    task_group group;
    bool may_end = false;
    auto other = group.spawn([&] {
      while (!may_end) sleep_for(10us);
    });
    auto child = group.spawn([] { sleep_for(24h); });
    yield();

    child.request_cancel();
    child.join();

    EXPECT_EQ(child.state(), fiber_state::cancelled);
    EXPECT_FALSE(group.cancel_requested());
    EXPECT_EQ(other.state(), fiber_state::running);
    may_end = true;
    EXPECT_NO_THROW(group.join());
    EXPECT_EQ(other.state(), fiber_state::completed);
    EXPECT_TRUE(group.errors().empty());
  });
}

}  // namespace
