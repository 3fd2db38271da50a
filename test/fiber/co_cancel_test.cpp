// Cancellation, scopes and bound values of tasks made of coroutines.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <iterator>
#include <mutex>
#include <ostream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <weft/co.hpp>
#include <weft/fiber/channel.hpp>
#include <weft/fiber/condition_variable.hpp>
#include <weft/fiber/context_value.hpp>
#include <weft/fiber/event.hpp>
#include <weft/fiber/fiber_local.hpp>
#include <weft/fiber/mutex.hpp>
#include <weft/fiber/semaphore.hpp>

#include "support/runtime_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using weft::fiber_state;
using weft::co::spawn;
using weft::co::task;
using weft::this_fiber::yield;

class CoCancel : public weft::test::runtime_test {};

// ---- every wait --------------------------------------------------------------------------------

// What a task can wait for; nothing of it comes unless wake() is called.
struct things {
  things() {
    full.send(1);
    lock.lock();
    sleeper = weft::spawn([this] { gate.wait(); });
  }

  ~things() {
    const weft::shield keep;
    gate.set();
    sleeper.join();
    lock.unlock();
  }

  weft::event gate;
  weft::event never;
  weft::semaphore none;
  weft::mutex lock;  // held by whoever made this
  weft::mutex of_condition;
  weft::condition_variable silent;
  weft::channel<int> empty{1};
  weft::channel<int> full{1};
  weft::fiber<> sleeper;
};

struct wait_case {
  const char* name;
  task<> (*wait)(things&, std::error_code&);
  // Ends the wait as it should end; null where the end of `gate` does, or nothing.
  void (*wake)(things&);
};

void PrintTo(const wait_case& each, std::ostream* out) { *out << each.name; }

task<> wait_for_condition(things& all, std::error_code& ec) {
  auto hold = co_await all.of_condition.co_scoped_lock();
  co_await all.silent.co_wait(hold, ec);
  EXPECT_TRUE(hold.owns_lock());
}

task<> wait_until_condition(things& all, std::error_code& ec) {
  auto hold = co_await all.of_condition.co_scoped_lock();
  co_await all.silent.co_wait(
      hold, [] { return false; }, ec);
  EXPECT_TRUE(hold.owns_lock());
}

task<> wait_for_condition_in_time(things& all, std::error_code& ec) {
  auto hold = co_await all.of_condition.co_scoped_lock();
  co_await all.silent.co_wait_for(hold, 24h, ec);
  EXPECT_TRUE(hold.owns_lock());
}

task<> wait_until_condition_in_time(things& all, std::error_code& ec) {
  auto hold = co_await all.of_condition.co_scoped_lock();
  const bool holds = co_await all.silent.co_wait_for(
      hold, 24h, [] { return false; }, ec);
  EXPECT_FALSE(holds);
  EXPECT_TRUE(hold.owns_lock());
}

const wait_case wait_cases[] = {
    {"sleep", [](things&, std::error_code& ec) -> task<> { co_await weft::co::sleep_for(24h, ec); },
     nullptr},
    {"event", [](things& all, std::error_code& ec) -> task<> { co_await all.never.co_wait(ec); },
     [](things& all) { all.never.set(); }},
    {"timed_event",
     [](things& all, std::error_code& ec) -> task<> { co_await all.never.co_wait_for(24h, ec); },
     [](things& all) { all.never.set(); }},
    {"semaphore",
     [](things& all, std::error_code& ec) -> task<> { co_await all.none.co_acquire(ec); },
     [](things& all) { all.none.release(); }},
    {"timed_semaphore",
     [](things& all, std::error_code& ec) -> task<> {
       const bool taken = co_await all.none.co_try_acquire_for(24h, ec);
       EXPECT_EQ(taken, !ec);
     },
     [](things& all) { all.none.release(); }},
    {"mutex", [](things& all, std::error_code& ec) -> task<> { co_await all.lock.co_lock(ec); },
     nullptr},
    {"timed_mutex",
     [](things& all, std::error_code& ec) -> task<> {
       const bool taken = co_await all.lock.co_try_lock_for(24h, ec);
       EXPECT_FALSE(taken);
     },
     nullptr},
    {"timed_condition_that_holds", wait_until_condition_in_time, nullptr},
    {"timed_condition", wait_for_condition_in_time, nullptr},
    {"condition", wait_for_condition, [](things& all) { all.silent.notify_all(); }},
    {"condition_that_holds", wait_until_condition, nullptr},
    {"receive",
     [](things& all, std::error_code& ec) -> task<> { co_await all.empty.co_receive(ec); },
     [](things& all) { all.empty.send(1); }},
    {"send", [](things& all, std::error_code& ec) -> task<> { co_await all.full.co_send(2, ec); },
     [](things& all) { all.full.receive(); }},
    {"timed_receive",
     [](things& all, std::error_code& ec) -> task<> {
       const auto got = co_await all.empty.co_receive_for(24h, ec);
       EXPECT_EQ(got.has_value(), !ec);
     },
     [](things& all) { all.empty.send(1); }},
    {"timed_send",
     [](things& all, std::error_code& ec) -> task<> {
       const bool sent = co_await all.full.co_send_for(2, 24h, ec);
       EXPECT_EQ(sent, !ec);
     },
     [](things& all) { all.full.receive(); }},
    {"join", [](things& all, std::error_code& ec) -> task<> { co_await all.sleeper.co_join(ec); },
     nullptr},
    {"event_that_blocks",
     [](things& all, std::error_code& ec) -> task<> {
       all.never.wait(ec);
       co_return;
     },
     [](things& all) { all.never.set(); }},
};

class CoCancelEach : public CoCancel, public testing::WithParamInterface<wait_case> {};

INSTANTIATE_TEST_SUITE_P(Waits, CoCancelEach, testing::ValuesIn(wait_cases),
                         [](const auto& each) { return std::string{each.param.name}; });

TEST_P(CoCancelEach, ends_the_wait_under_way_and_every_later_one) {
  run([] {
    things all;
    auto waiting = spawn([&]() -> task<> {
      for (int times = 0; times < 2; ++times) {
        std::error_code ec;
        co_await GetParam().wait(all, ec);
        EXPECT_EQ(ec, weft::errc::cancelled);
      }
    });
    weft::testing::all_blocked();
    EXPECT_FALSE(waiting.done());

    waiting.request_cancel();
    waiting.join();

    waiting.result();
  });
}

TEST_P(CoCancelEach, before_the_wait_refuses_it_even_if_it_need_not_wait) {
  run([] {
    things all;
    bool cancelled = false;
    auto waiting = spawn([&]() -> task<> {
      while (!cancelled) co_await weft::co::yield();
      std::error_code ec;
      co_await GetParam().wait(all, ec);
      EXPECT_EQ(ec, weft::errc::cancelled);
    });
    yield();
    if (GetParam().wake != nullptr && std::string{GetParam().name} != "condition") {
      GetParam().wake(all);
    }

    waiting.request_cancel();
    cancelled = true;
    waiting.join();

    waiting.result();
  });
}

// Those that something ends.
class CoCancelWoken : public CoCancelEach {};

std::vector<wait_case> cases_that_are_woken() {
  std::vector<wait_case> some;
  std::ranges::copy_if(wait_cases, std::back_inserter(some),
                       [](const wait_case& each) { return each.wake != nullptr; });
  return some;
}

INSTANTIATE_TEST_SUITE_P(Waits, CoCancelWoken, testing::ValuesIn(cases_that_are_woken()),
                         [](const auto& each) { return std::string{each.param.name}; });

TEST_P(CoCancelWoken, comes_too_late_for_this_wait) {
  run([] {
    things all;
    auto waiting = spawn([&]() -> task<> {
      std::error_code ec = weft::errc::eof;
      co_await GetParam().wait(all, ec);
      EXPECT_FALSE(ec);
      co_await weft::co::sleep_for(24h, ec);
      EXPECT_EQ(ec, weft::errc::cancelled);
    });
    weft::testing::all_blocked();

    GetParam().wake(all);
    waiting.request_cancel();
    waiting.join();

    waiting.result();
  });
}

TEST_P(CoCancelEach, by_a_timeout_around_an_await_says_timed_out) {
  weft::testing::virtual_clock time;
  run(
      [&] {
        things all;
        auto waiting = spawn([&]() -> task<> {
          std::error_code ec;
          {
            const weft::timeout limit{1s};
            co_await GetParam().wait(all, ec);
            EXPECT_EQ(ec, weft::errc::timed_out);
            EXPECT_TRUE(limit.expired());
          }
          co_await weft::co::sleep_for(1s, ec);
          EXPECT_FALSE(ec);
        });
        waiting.join();
        waiting.result();
      },
      {.clock = &time});
  EXPECT_GE(time.elapsed(), 2s);
}

TEST_P(CoCancelEach, from_another_worker_ends_the_wait) {
  weft::runtime two{{.workers = 2}};
  two.run([] {
    things all;
    std::atomic<bool> begun = false;
    auto waiting = weft::co::spawn_on(1, [&]() -> task<> {
      begun = true;
      std::error_code ec;
      co_await GetParam().wait(all, ec);
      EXPECT_EQ(ec, weft::errc::cancelled);
    });
    while (!begun) yield();

    waiting.request_cancel();
    waiting.join();

    waiting.result();
  });
}

// ---- outcomes ----------------------------------------------------------------------------------

TEST_F(CoCancel, that_leaves_the_coroutine_makes_its_state_cancelled) {
  run([] {
    auto leaf = []() -> task<> { co_await weft::co::sleep_for(24h); };
    auto waiting = spawn([&]() -> task<> { co_await leaf(); });
    weft::testing::all_blocked();

    waiting.request_cancel();
    waiting.join();

    EXPECT_EQ(waiting.state(), fiber_state::cancelled);
  });
}

TEST_F(CoCancel, is_no_end_of_a_yield) {
  run([] {
    int turns = 0;
    auto yielding = spawn([&]() -> task<> {
      for (; turns < 10; ++turns) co_await weft::co::yield();
    });
    yield();
    yielding.request_cancel();
    yielding.join();

    EXPECT_EQ(turns, 10);
    EXPECT_EQ(yielding.state(), fiber_state::completed);
  });
}

TEST_F(CoCancel, is_no_end_of_a_plain_lock) {
  run([] {
    weft::mutex lock;
    lock.lock();
    auto locking = spawn([&]() -> task<> {
      const auto hold = co_await lock.co_scoped_lock();
      std::error_code ec;
      co_await weft::co::sleep_for(24h, ec);
      EXPECT_EQ(ec, weft::errc::cancelled);
    });
    yield();
    locking.request_cancel();
    yield();
    EXPECT_FALSE(locking.done());
    lock.unlock();
    locking.join();
    locking.result();
  });
}

TEST_F(CoCancel, that_is_ignored_a_thousand_times_is_named) {
  run([] {
    auto deaf = spawn({.name = "deaf"}, [](int times) -> task<> {
      for (int i = 0; i < times; ++i) {
        std::error_code ec;
        co_await weft::co::sleep_for(24h, ec);
      }
    }(1'500));
    yield();
    deaf.request_cancel();
    deaf.join();
  });
  const auto lines = take_diagnostics();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_NE(lines[0].find("\"deaf\""), std::string::npos);
}

// ---- scopes ------------------------------------------------------------------------------------

TEST_F(CoCancel, by_scopes_inside_each_other_and_in_several_coroutines_says_the_outermost) {
  weft::testing::virtual_clock time;
  run(
      [] {
        auto inner = []() -> task<std::error_code> {
          const weft::timeout limit{1s};
          std::error_code ec;
          co_await weft::co::sleep_for(24h, ec);
          EXPECT_EQ(ec, weft::errc::timed_out);
          const weft::shield keep;
          co_await weft::co::sleep_for(10s, ec);
          EXPECT_FALSE(ec);
          co_return ec;
        };
        auto outer = spawn([&]() -> task<> {
          weft::cancel_scope scope;
          auto canceller = weft::spawn([&] {
            weft::this_fiber::sleep_for(5s);
            scope.request_cancel();
          });
          co_await inner();
          std::error_code ec;
          co_await weft::co::sleep_for(24h, ec);
          EXPECT_EQ(ec, weft::errc::cancelled);
          const weft::shield keep;
          co_await canceller.co_join();
        });
        outer.join();
        outer.result();
      },
      {.clock = &time});
  EXPECT_LT(time.elapsed(), 1h);
}

TEST_F(CoCancel, scopes_of_one_task_are_not_those_of_another_on_the_same_stack) {
  weft::testing::virtual_clock time;
  run(
      [] {
        std::vector<weft::fiber<>> all;
        for (int i = 0; i < 50; ++i) {
          all.push_back(spawn([i]() -> task<> {
            std::error_code ec;
            const weft::timeout limit{1s * (i % 2 == 0 ? 1 : 1'000)};
            co_await weft::co::sleep_for(10s + 1ms * i, ec);
            EXPECT_EQ(ec == weft::errc::timed_out, i % 2 == 0);
          }));
        }
        for (auto& each : all) {
          each.join();
          each.result();
        }
      },
      {.clock = &time});
}

// ---- bound values and locals -------------------------------------------------------------------

const weft::context_value<std::string> who{"nobody"};

TEST_F(CoCancel, values_bound_in_a_coroutine_travel_with_its_task) {
  run([] {
    auto see = []() -> task<std::string> {
      co_await weft::co::yield();
      co_return who.get();
    };
    auto bind_and_see = [&](std::string name) -> task<> {
      EXPECT_EQ(who.get(), "main");
      {
        const weft::context_binding bound{who, name};
        EXPECT_EQ(co_await see(), name);
        auto child = spawn(see());
        co_await child.co_join();
        EXPECT_EQ(child.result(), name);
      }
      co_await weft::co::yield();
      EXPECT_EQ(who.get(), "main");
    };
    const weft::context_binding bound{who, "main"};
    std::vector<weft::fiber<>> all;
    for (int i = 0; i < 20; ++i) all.push_back(spawn(bind_and_see(std::to_string(i))));
    for (auto& each : all) {
      each.join();
      each.result();
    }
    EXPECT_EQ(weft::co::block_on(see()), "main");
  });
}

TEST_F(CoCancel, locals_belong_to_the_task_and_may_wait_at_their_end) {
  run([] {
    static int ended = 0;
    ended = 0;
    struct local {
      ~local() {
        yield();
        ++ended;
      }
      int number = 0;
    };
    const weft::fiber_local<local> mine;
    std::vector<weft::fiber<>> all;
    for (int i = 0; i < 20; ++i) {
      all.push_back(spawn([&mine, i]() -> task<> {
        EXPECT_EQ(mine->number, 0);
        mine->number = i;
        co_await weft::co::yield();
        yield();
        EXPECT_EQ(mine->number, i);
      }));
    }
    for (auto& each : all) each.join();
    EXPECT_EQ(ended, 20);
    EXPECT_EQ(mine.get_if(), nullptr);
  });
}

}  // namespace
