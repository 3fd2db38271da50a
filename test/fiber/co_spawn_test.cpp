// co::spawn(): coroutines as tasks of their own, their handles, and how they end.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <weft/co.hpp>

#include "support/runtime_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using weft::fiber_state;
using weft::co::spawn;
using weft::co::task;
using weft::this_fiber::yield;

class CoSpawn : public weft::test::runtime_test {};

task<int> seven() { co_return 7; }

task<> wait_for(weft::event& awaited) { co_await awaited.co_wait(); }

TEST_F(CoSpawn, runs_a_task_once_the_caller_waits) {
  run([] {
    bool ran = false;
    auto body = [&]() -> task<> {
      ran = true;
      co_return;
    };
    auto child = spawn(body());
    EXPECT_FALSE(ran);
    EXPECT_EQ(child.state(), fiber_state::pending);

    child.join();

    EXPECT_TRUE(ran);
    EXPECT_EQ(child.state(), fiber_state::completed);
  });
}

TEST_F(CoSpawn, runs_what_a_function_returns) {
  run([] {
    auto child = spawn(seven);
    auto another = spawn(&seven);
    child.join();
    another.join();

    EXPECT_EQ(child.result() + another.result(), 14);
  });
}

TEST_F(CoSpawn, keeps_a_capturing_lambda_until_its_coroutine_has_ended) {
  run([] {
    weft::event go;
    auto held = std::make_shared<int>(5);
    const std::weak_ptr<int> watched = held;
    auto child = spawn([kept = std::move(held), &go]() -> task<int> {
      co_await go.co_wait();
      co_return *kept;
    });
    yield();
    EXPECT_FALSE(watched.expired());

    go.set();
    child.join();

    EXPECT_EQ(child.result(), 5);
    EXPECT_TRUE(watched.expired());  // while there is a handle still
  });
}

TEST_F(CoSpawn, runs_a_function_that_can_only_be_moved) {
  run([] {
    auto child = spawn([held = std::make_unique<int>(5)]() -> task<int> { co_return *held; });
    child.join();

    EXPECT_EQ(child.result(), 5);
  });
}

TEST_F(CoSpawn, hands_on_results_of_all_kinds) {
  run([] {
    int object = 0;
    auto reference = spawn([&]() -> task<int&> {
      co_await weft::co::yield();
      co_return object;
    });
    auto moved = spawn([]() -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(2); });
    auto large =
        spawn([]() -> task<std::array<char, 1'000>> { co_return std::array<char, 1'000>{'x'}; });
    reference.join();
    moved.join();
    large.join();

    EXPECT_EQ(&reference.result(), &object);
    EXPECT_EQ(*std::move(moved).result(), 2);
    EXPECT_EQ(large.result()[0], 'x');
  });
}

TEST_F(CoSpawn, of_a_function_that_throws_before_it_returns_a_task_fails) {
  run([] {
    auto child = spawn([]() -> task<int> { throw std::out_of_range("no task"); });
    auto fails_at_once = [](bool now) -> task<int> {
      if (now) throw std::out_of_range("no task");
      return seven();
    };
    auto another = spawn([&] { return fails_at_once(true); });
    child.join();
    another.join();

    EXPECT_EQ(child.state(), fiber_state::failed);
    EXPECT_THROW(child.result(), std::out_of_range);
    EXPECT_THROW(another.result(), std::out_of_range);
  });
}

TEST_F(CoSpawn, fails_with_what_leaves_the_coroutine_before_or_after_it_has_suspended) {
  run([] {
    for (const bool suspends : {false, true}) {
      auto child = spawn([suspends]() -> task<> {
        if (suspends) co_await weft::co::sleep_for(1us);
        throw std::runtime_error("reason");
      });
      child.join();

      EXPECT_EQ(child.state(), fiber_state::failed);
      EXPECT_THROW(child.result(), std::runtime_error);
    }
  });
}

struct throws_when_moved {
  throws_when_moved() = default;

  throws_when_moved(throws_when_moved&& other) : moves(other.moves + 1) {
    if (moves > 1) throw std::length_error("moved");
  }

  int moves = 0;
};

TEST_F(CoSpawn, of_a_result_whose_move_throws_fails) {
  run([] {
    for (const bool suspends : {false, true}) {
      auto child = spawn([suspends]() -> task<throws_when_moved> {
        if (suspends) co_await weft::co::sleep_for(1us);
        co_return throws_when_moved{};
      });
      child.join();

      EXPECT_THROW(child.result(), std::length_error);
    }
  });
}

TEST_F(CoSpawn, takes_its_name_and_shows_its_state) {
  run([] {
    weft::event go;
    auto child = spawn({.name = "courier"}, wait_for(go));
    EXPECT_EQ(child.name(), "courier");
    EXPECT_EQ(child.state(), fiber_state::pending);
    yield();
    EXPECT_EQ(child.state(), fiber_state::running);
    EXPECT_FALSE(child.done());

    go.set();
    child.join();

    EXPECT_TRUE(child.done());
    EXPECT_EQ(child.state(), fiber_state::completed);
  });
}

TEST_F(CoSpawn, cancelled_before_its_start_never_runs_and_destroys_what_it_was_given) {
  run([] {
    auto parameter = std::make_shared<int>(0);
    auto body = [](std::shared_ptr<int> held) -> task<> {
      ++*held;
      co_return;
    };
    auto as_task = spawn(body(parameter));
    auto as_function = spawn([parameter]() -> task<> {
      ++*parameter;
      co_return;
    });

    as_task.request_cancel();
    as_function.request_cancel();
    as_task.join();
    as_function.join();

    EXPECT_EQ(*parameter, 0);
    EXPECT_EQ(parameter.use_count(), 1);
    EXPECT_EQ(as_task.state(), fiber_state::cancelled);
    EXPECT_EQ(as_function.state(), fiber_state::cancelled);
  });
}

TEST_F(CoSpawn, is_joined_by_fiber_coroutine_and_plain_thread_at_once) {
  run([] {
    weft::event go;
    std::atomic<int> joined = 0;
    auto child = spawn(wait_for(go));
    auto fiber = weft::spawn([&] {
      child.join();
      ++joined;
    });
    auto coroutine = spawn([&]() -> task<> {
      co_await child.co_join();
      ++joined;
    });
    std::thread thread{[&] {
      child.join();
      ++joined;
    }};
    weft::testing::all_blocked();
    EXPECT_EQ(joined, 0);

    go.set();
    fiber.join();
    coroutine.join();
    while (joined != 3) weft::this_fiber::sleep_for(100us);
    thread.join();
  });
}

TEST_F(CoSpawn, co_join_of_one_that_has_ended_does_not_wait) {
  run([] {
    auto child = spawn(seven);
    child.join();
    auto asking = spawn([&]() -> task<int> {
      co_await child.co_join();
      co_return child.result();
    });

    asking.join();

    EXPECT_EQ(asking.result(), 7);
  });
}

TEST_F(CoSpawn, co_join_of_an_empty_handle_or_of_oneself_is_an_error) {
  run([] {
    weft::fiber<> self;
    self = spawn([&]() -> task<> {
      std::error_code ec;
      co_await self.co_join(ec);
      EXPECT_EQ(ec, std::errc::resource_deadlock_would_occur);
      weft::fiber<> empty;
      co_await empty.co_join(ec);
      EXPECT_EQ(ec, std::errc::invalid_argument);
      bool thrown = false;
      try {
        co_await empty.co_join();
      } catch (const std::system_error& error) {
        thrown = error.code() == std::errc::invalid_argument;
      }
      EXPECT_TRUE(thrown);
    });
    self.join();
  });
}

TEST_F(CoSpawn, a_handle_may_be_moved_and_go_while_a_coroutine_joins_it) {
  run([] {
    weft::event go;
    auto first = std::make_unique<weft::fiber<>>(spawn(wait_for(go)));
    auto joining = spawn([&]() -> task<> { co_await first->co_join(); });
    yield();
    auto second = std::move(*first);
    yield();
    second.detach();

    go.set();
    joining.join();
  });
}

TEST_F(CoSpawn, the_destructor_of_a_handle_in_a_coroutine_cancels_and_waits) {
  run([] {
    bool unwound = false;
    weft::event never;
    bool other_ran = false;
    auto parent = spawn([&]() -> task<> {
      {
        auto child = spawn([&]() -> task<> {
          std::error_code ec;
          co_await never.co_wait(ec);
          EXPECT_EQ(ec, weft::errc::cancelled);
          for (int i = 0; i < 10; ++i) co_await weft::co::yield();
          unwound = true;
        });
        co_await weft::co::yield();
      }
      EXPECT_TRUE(unwound);
      EXPECT_TRUE(other_ran);
    });
    auto other = spawn([&]() -> task<> {
      co_await weft::co::yield();
      other_ran = true;
    });

    parent.join();
    other.join();
  });
}

TEST_F(CoSpawn, on_other_workers_runs_there) {
  run(
      [] {
        const auto mine = std::this_thread::get_id();
        auto where = []() -> task<std::thread::id> {
          const auto before = std::this_thread::get_id();
          co_await weft::co::sleep_for(1us);
          EXPECT_EQ(std::this_thread::get_id(), before);
          co_return before;
        };
        auto there = weft::co::spawn_on(1, where);
        auto anywhere = weft::co::spawn_anywhere(where);
        auto here = weft::co::spawn_on(0, where);
        there.join();
        anywhere.join();
        here.join();

        EXPECT_NE(there.result(), mine);
        EXPECT_EQ(here.result(), mine);
      },
      {.workers = 2});
}

TEST_F(CoSpawn, on_a_worker_that_there_is_not_is_an_error) {
  run([] { EXPECT_THROW(weft::co::spawn_on(1, seven).detach(), std::system_error); });
}

TEST_F(CoSpawn, from_worker_to_worker_many_times_loses_none) {
  run(
      [] {
        std::atomic<int> ended = 0;
        auto leaf = [&]() -> task<> {
          co_await weft::co::yield();
          ++ended;
        };
        auto branch = [&]() -> task<> {
          std::vector<weft::fiber<>> leaves;
          for (unsigned i = 0; i < 50; ++i) leaves.push_back(weft::co::spawn_on(i % 3, leaf));
          for (auto& each : leaves) co_await each.co_join();
        };
        std::vector<weft::fiber<>> branches;
        for (unsigned i = 0; i < 30; ++i) branches.push_back(weft::co::spawn_on(i % 3, branch));
        for (auto& each : branches) each.join();

        EXPECT_EQ(ended, 1'500);
      },
      {.workers = 3});
}

// ---- without a handle --------------------------------------------------------------------------

TEST_F(CoSpawn, detached_runs_on) {
  run([] {
    weft::event done;
    spawn([&]() -> task<> {
      co_await weft::co::yield();
      done.set();
    }).detach();

    done.wait();
    yield();
  });
}

TEST_F(CoSpawn, tells_once_of_an_error_that_nobody_retrieves) {
  std::vector<std::string> told;
  weft::set_unhandled_error_handler([&](const weft::unhandled_error& error) {
    told.emplace_back(error.fiber_name);
    EXPECT_THROW(std::rethrow_exception(error.exception), std::runtime_error);
  });
  auto fail = []() -> task<> {
    co_await weft::co::yield();
    throw std::runtime_error("reason");
  };
  run([&] {
    spawn({.name = "detached"}, fail()).detach();
    {
      auto dropped = spawn({.name = "dropped"}, fail());
      dropped.join();
    }
    auto seen = spawn({.name = "seen"}, fail());
    seen.join();
    EXPECT_THROW(seen.result(), std::runtime_error);
    for (int i = 0; i < 3; ++i) yield();
  });
  weft::set_unhandled_error_handler({});

  std::ranges::sort(told);
  EXPECT_EQ(told, (std::vector<std::string>{"detached", "dropped"}));
}

TEST_F(CoSpawn, fails_in_no_one_but_itself_when_many_fail_at_once) {
  run([] {
    std::vector<weft::fiber<int>> all;
    for (int i = 0; i < 200; ++i) {
      all.push_back(spawn([i]() -> task<int> {
        co_await weft::co::yield();
        if (i % 2 == 0) throw i;
        co_return i;
      }));
    }
    for (int i = 0; i < 200; ++i) {
      auto& each = all[static_cast<std::size_t>(i)];
      each.join();
      try {
        EXPECT_EQ(each.result(), i);
        EXPECT_EQ(i % 2, 1);
      } catch (int thrown) {
        EXPECT_EQ(thrown, i);
      }
    }
  });
}

TEST_F(CoSpawn, on_a_worker_takes_options_and_says_that_there_is_none) {
  weft::runtime workers{{.workers = 2}};
  workers.run([] {
    const auto nothing = []() -> task<> { co_return; };
    auto there = weft::co::spawn_on(1, {.name = "there"}, nothing);
    auto anywhere = weft::co::spawn_anywhere({.name = "anywhere"}, nothing);
    EXPECT_EQ(there.name(), "there");
    EXPECT_EQ(anywhere.name(), "anywhere");
    std::error_code ec;
    EXPECT_FALSE(weft::co::spawn_on(2, {}, nothing, ec));
    EXPECT_EQ(ec, std::errc::invalid_argument);
    there.join();
    anywhere.join();
  });
}

}  // namespace
