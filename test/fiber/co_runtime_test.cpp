// Runtimes that run coroutines: their order, their clock, their end; and who gives way to whom.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <system_error>
#include <vector>

#include <gtest/gtest.h>

#include <weft/co.hpp>
#include <weft/fiber/channel.hpp>
#include <weft/fiber/condition_variable.hpp>
#include <weft/fiber/event.hpp>
#include <weft/fiber/mutex.hpp>
#include <weft/fiber/semaphore.hpp>
#include <weft/fiber/task_group.hpp>

#include "support/runtime_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using testing::KilledBySignal;
using weft::co::spawn;
using weft::co::task;
using weft::this_fiber::yield;

class CoRuntime : public weft::test::runtime_test {};

using CoRuntimeDeath = CoRuntime;

// ---- order and time ----------------------------------------------------------------------------

std::string order_of_seed(std::uint64_t seed) {
  std::string order;
  weft::runtime worker{{.order_seed = seed}};
  worker.run([&] {
    std::vector<weft::fiber<>> all;
    for (char name = 'a'; name < 'k'; ++name) {
      all.push_back(spawn([&order, name]() -> task<> {
        for (int i = 0; i < 3; ++i) {
          order += name;
          co_await weft::co::yield();
        }
      }));
    }
    for (auto& each : all) each.join();
  });
  return order;
}

TEST_F(CoRuntime, with_an_order_seed_runs_coroutines_in_the_order_that_it_decides) {
  std::set<std::string> orders;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const std::string order = order_of_seed(seed);
    EXPECT_EQ(order, order_of_seed(seed));
    orders.insert(order);
  }
  EXPECT_GT(orders.size(), 5u);
}

TEST_F(CoRuntime, without_a_seed_runs_coroutines_in_the_order_in_which_they_are_ready) {
  run([] {
    std::string order;
    std::vector<weft::fiber<>> all;
    for (char name = 'a'; name < 'e'; ++name) {
      all.push_back(spawn([&order, name]() -> task<> {
        order += name;
        co_await weft::co::yield();
        order += name;
      }));
    }
    for (auto& each : all) each.join();
    EXPECT_EQ(order, "abcdabcd");
  });
}

TEST_F(CoRuntime, on_a_virtual_clock_wakes_coroutines_in_the_order_of_their_deadlines) {
  weft::testing::virtual_clock time;
  run(
      [&] {
        std::vector<int> order;
        std::vector<weft::fiber<>> all;
        for (int i = 0; i < 20; ++i) {
          const int hours = (i * 7) % 20;
          all.push_back(spawn([&, hours]() -> task<> {
            co_await weft::co::sleep_for(1h * hours);
            order.push_back(hours);
          }));
        }
        for (auto& each : all) each.join();
        EXPECT_TRUE(std::ranges::is_sorted(order));
        EXPECT_EQ(order.size(), 20u);
      },
      {.clock = &time});
  EXPECT_GE(time.elapsed(), 19h);
  EXPECT_LT(time.elapsed(), 20h);
}

// ---- the end -----------------------------------------------------------------------------------

TEST_F(CoRuntime, ends_with_detached_coroutines_that_are_suspended_or_have_not_started) {
  auto parameter = std::make_shared<int>(0);
  int unwound = 0;
  auto sleep_long = [&](std::shared_ptr<int>) -> task<> {
    std::error_code ec;
    co_await weft::co::sleep_for(24h, ec);
    EXPECT_EQ(ec, weft::errc::cancelled);
    ++unwound;
  };
  weft::runtime worker;
  worker.run([&] {
    for (int i = 0; i < 10; ++i) spawn(sleep_long(parameter)).detach();
    weft::testing::all_blocked();
    for (int i = 0; i < 10; ++i) spawn(sleep_long(parameter)).detach();
  });
  EXPECT_EQ(unwound, 10);
  EXPECT_EQ(parameter.use_count(), 1);
}

TEST_F(CoRuntime, ends_with_coroutines_that_block_and_wait_on_other_workers) {
  std::atomic<int> unwound = 0;
  weft::runtime workers{{.workers = 3}};
  workers.run([&] {
    std::atomic<int> begun = 0;
    for (unsigned i = 0; i < 30; ++i) {
      weft::co::spawn_on(i % 3, [&, i]() -> task<> {
        ++begun;
        std::error_code ec;
        if (i % 2 == 0) weft::this_fiber::sleep_for(24h, ec);
        co_await weft::co::sleep_for(24h, ec);
        co_await weft::co::yield();
        ++unwound;
      }).detach();
    }
    while (begun != 30) yield();
  });
  EXPECT_EQ(unwound, 30);
}

TEST_F(CoRuntime, lets_coroutines_that_are_being_ended_spawn_and_wait_in_a_shield) {
  bool cleaned = false;
  weft::runtime worker;
  worker.run([&] {
    spawn([&]() -> task<> {
      std::error_code ec;
      co_await weft::co::sleep_for(24h, ec);
      const weft::shield keep;
      auto late = spawn([]() -> task<> { co_return; });
      co_await late.co_join();
      EXPECT_EQ(late.state(), weft::fiber_state::cancelled);
      co_await weft::co::sleep_for(1ms, ec);
      EXPECT_FALSE(ec);
      cleaned = true;
    }).detach();
    weft::testing::all_blocked();
  });
  EXPECT_TRUE(cleaned);
}

TEST_F(CoRuntime, runs_again_and_again) {
  weft::runtime worker;
  for (int i = 0; i < 300; ++i) {
    int ran = 0;
    worker.run([&] {
      for (int k = 0; k < 3; ++k) {
        spawn([&]() -> task<> {
          co_await weft::co::yield();
          yield();
          ++ran;
        }).detach();
      }
      for (int turn = 0; turn < 6; ++turn) yield();
    });
    EXPECT_EQ(ran, 3);
  }
}

TEST_F(CoRuntime, several_in_sequence_leave_nothing) {
  for (int i = 0; i < 50; ++i) {
    run([] {
      auto child = spawn([]() -> task<> {
        yield();
        co_await weft::co::sleep_for(1us);
      });
      child.join();
    });
  }
}

TEST_F(CoRuntimeDeath, a_stubborn_coroutine_ends_the_process_with_its_name) {
  EXPECT_EXIT(
      {
        enter_death_test();
        weft::run([] {
          auto ignore = []() -> task<> {
            for (;;) co_await weft::co::yield();
          };
          spawn({.name = "mule"}, ignore()).detach();
          yield();
        });
      },
      KilledBySignal(SIGABRT), "ignore for 5 s that they are cancelled: \"mule\"");
}

TEST_F(CoRuntimeDeath, a_coroutine_that_never_waits_ends_the_process_with_its_name) {
  EXPECT_EXIT(
      {
        enter_death_test();
        weft::run(
            [] {
              std::atomic<bool> started = false;
              auto spin = [&]() -> task<> {
                started = true;
                for (;;) co_await []() -> task<> { co_return; }();
              };
              weft::co::spawn_on(1, spin).detach();
              while (!started) yield();
            },
            {.workers = 2});
      },
      KilledBySignal(SIGABRT), "on worker 1 has run for 5 s without a wait");
}

TEST_F(CoRuntimeDeath, a_coroutine_that_waits_in_a_shield_ends_the_process_with_its_name) {
  EXPECT_EXIT(
      {
        enter_death_test();
        weft::run([] {
          auto hide = []() -> task<> {
            const weft::shield keep;
            co_await weft::co::sleep_for(24h);
          };
          spawn({.name = "hidden"}, hide()).detach();
          yield();
        });
      },
      KilledBySignal(SIGABRT), "ignore for 5 s that they are cancelled: \"hidden\"");
}

TEST_F(CoRuntime, with_all_its_coroutines_suspended_only_waits) {
  run([] {
    const auto& driver = weft::testing::fake_driver::install();
    weft::event never;
    auto suspended = spawn([&]() -> task<> {
      std::error_code ec;
      co_await never.co_wait(ec);
    });
    auto blocked = spawn([&]() -> task<> {
      std::error_code ec;
      never.wait(ec);
      co_return;
    });
    yield();
    const std::size_t before = driver.polls().size();

    weft::this_fiber::sleep_for(20ms);

    EXPECT_LE(driver.polls().size(), before + 3);
    suspended.request_cancel();
    blocked.request_cancel();
    suspended.join();
    blocked.join();
  });
}

// ---- who gives way -----------------------------------------------------------------------------

// Whether another task runs while `looping` makes a thousand of its calls.
template <class Call>
void expect_to_give_way(const char* what, Call call) {
  bool other_ran = false;
  bool ran_in_between = false;
  auto looping = spawn([&]() -> task<> {
    for (int i = 0; i < 1'000; ++i) co_await call();
    ran_in_between = other_ran;
  });
  auto other = weft::spawn([&] { other_ran = true; });
  looping.join();
  other.join();
  EXPECT_TRUE(ran_in_between) << what;
  looping.result();
}

TEST_F(CoRuntime, a_coroutine_whose_operations_need_not_wait_lets_others_run) {
  run([] {
    weft::event set;
    set.set();
    weft::semaphore many{10'000};
    weft::mutex free;
    weft::channel<int> values{weft::channel<int>::unbounded};
    weft::channel<int> full{0};
    weft::channel<int> closed;
    closed.close();
    auto ended = weft::spawn([] {});
    ended.join();
    weft::task_group empty;
    weft::condition_variable changed;
    weft::mutex of_changed;

    expect_to_give_way("event", [&]() -> task<> { co_await set.co_wait(); });
    expect_to_give_way("semaphore", [&]() -> task<> { co_await many.co_acquire(); });
    expect_to_give_way("mutex", [&]() -> task<> {
      co_await free.co_lock();
      free.unlock();
    });
    expect_to_give_way("send", [&]() -> task<> { co_await values.co_send(1); });
    expect_to_give_way("receive", [&]() -> task<> { co_await values.co_receive(); });
    expect_to_give_way("send in time", [&]() -> task<> { co_await full.co_send_for(1, 0s); });
    expect_to_give_way("receive in time", [&]() -> task<> { co_await full.co_receive_for(0s); });
    expect_to_give_way("receive of a closed one",
                       [&]() -> task<> { co_await closed.co_receive(); });
    expect_to_give_way("send to a closed one", [&]() -> task<> {
      std::error_code ec;
      co_await closed.co_send(1, ec);
    });
    expect_to_give_way("join", [&]() -> task<> { co_await ended.co_join(); });
    expect_to_give_way("group", [&]() -> task<> { co_await empty.co_join(); });
    expect_to_give_way("sleep", []() -> task<> { co_await weft::co::sleep_for(0s); });
    expect_to_give_way("yield", []() -> task<> { co_await weft::co::yield(); });
    expect_to_give_way("condition", [&]() -> task<> {
      auto hold = co_await of_changed.co_scoped_lock();
      co_await changed.co_wait(hold, [] { return true; });
    });
    expect_to_give_way("try_lock", [&]() -> task<> {
      EXPECT_TRUE(free.try_lock());
      free.unlock();
      co_return;
    });
  });
}

// The same for calls that are refused because the task is cancelled.
template <class Call>
void expect_refusals_to_give_way(const char* what, Call call) {
  expect_to_give_way(what, [&]() -> task<> {
    weft::cancel_scope scope;
    scope.request_cancel();
    std::error_code ec;
    co_await call(ec);
    EXPECT_EQ(ec, weft::errc::cancelled) << what;
  });
}

TEST_F(CoRuntime, a_coroutine_whose_operations_are_refused_lets_others_run) {
  run([] {
    using std::error_code;
    weft::event never;
    weft::semaphore none;
    weft::mutex free;
    weft::channel<int> values{1};
    weft::task_group empty;
    weft::condition_variable changed;
    weft::mutex of_changed;
    std::unique_lock held{of_changed, std::defer_lock};
    auto waiting = weft::spawn([&] { never.wait(); });

    expect_refusals_to_give_way("event",
                                [&](error_code& ec) -> task<> { co_await never.co_wait(ec); });
    expect_refusals_to_give_way("semaphore",
                                [&](error_code& ec) -> task<> { co_await none.co_acquire(ec); });
    expect_refusals_to_give_way("mutex",
                                [&](error_code& ec) -> task<> { co_await free.co_lock(ec); });
    expect_refusals_to_give_way("send",
                                [&](error_code& ec) -> task<> { co_await values.co_send(1, ec); });
    expect_refusals_to_give_way("receive",
                                [&](error_code& ec) -> task<> { co_await values.co_receive(ec); });
    expect_refusals_to_give_way("join",
                                [&](error_code& ec) -> task<> { co_await waiting.co_join(ec); });
    expect_refusals_to_give_way("group",
                                [&](error_code& ec) -> task<> { co_await empty.co_join(ec); });
    expect_refusals_to_give_way(
        "sleep", [](error_code& ec) -> task<> { co_await weft::co::sleep_for(1h, ec); });
    held.lock();
    expect_refusals_to_give_way(
        "condition", [&](error_code& ec) -> task<> { co_await changed.co_wait(held, ec); });
    expect_refusals_to_give_way("condition that holds", [&](error_code& ec) -> task<> {
      co_await changed.co_wait(
          held, [] { return false; }, ec);
    });
    never.set();
    waiting.join();
  });
}

}  // namespace
