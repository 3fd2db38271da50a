// The testing kit: virtual time, waiting for quiet, a seeded order, a driver of one's own, the
// watchdog.
#include <array>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include <weft/co.hpp>
#include <weft/fiber.hpp>
#include <weft/fiber/testing.hpp>

#include "support/runtime_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using weft::spawn;
using weft::testing::all_blocked;
using weft::testing::fake_driver;
using weft::testing::time_moves;
using weft::testing::virtual_clock;
using weft::this_fiber::sleep_for;
using weft::this_fiber::yield;

class VirtualClock : public weft::test::runtime_test {};

class AllBlocked : public weft::test::runtime_test {};

class OrderSeed : public weft::test::runtime_test {};

class FakeDriver : public weft::test::runtime_test {};

class Watchdog : public weft::test::runtime_test {};

// ---- virtual time ------------------------------------------------------------------------------

TEST_F(VirtualClock, jumps_to_the_next_deadline_when_all_fibers_wait) {
  virtual_clock time;
  std::vector<int> order;

  run(
      [&] {
        auto late = spawn([&] {
          sleep_for(48h);
          order.push_back(2);
        });
        auto early = spawn([&] {
          sleep_for(24h);
          order.push_back(1);
        });
        late.join();
        early.join();
      },
      {.clock = &time});

  EXPECT_EQ(order, (std::vector{1, 2}));
  EXPECT_EQ(time.elapsed(), 48h);
}

TEST_F(VirtualClock, does_not_count_for_what_the_end_of_a_run_waits_for) {
  virtual_clock time;
  weft::runtime worker{{.clock = &time}};
  bool cleaned_up = false;

  worker.run([&] {
    spawn([&] {
      std::error_code ec;
      sleep_for(24h, ec);
      const weft::shield undisturbed;
      sleep_for(1h);
      cleaned_up = true;
    }).detach();
    yield();
  });

  EXPECT_TRUE(cleaned_up);
}

TEST_F(VirtualClock, all_that_is_due_after_an_advance_happens_when_the_caller_yields) {
  virtual_clock time{time_moves::by_hand};
  constexpr int sleepers = 200;
  int woken = 0;

  run(
      [&] {
        std::vector<weft::fiber<>> fibers;
        for (int i = 0; i < sleepers; ++i) {
          fibers.push_back(spawn([&] {
            sleep_for(1s);
            ++woken;
          }));
        }
        yield();

        time.advance(1s);
        yield();

        EXPECT_EQ(woken, sleepers);
        for (auto& each : fibers) each.join();
      },
      {.clock = &time});
}

TEST_F(VirtualClock, may_stand_at_its_last_moment_when_a_run_ends) {
  virtual_clock time{time_moves::by_hand};
  weft::runtime worker{{.clock = &time}};
  bool cleaned_up = false;

  worker.run([&] {
    spawn([&] {
      std::error_code ec;
      weft::event().wait(ec);
      const weft::shield undisturbed;
      for (int i = 0; i < 1'000; ++i) yield();  // past several looks at the clock
      cleaned_up = true;
    }).detach();
    yield();
    time.advance(std::chrono::hours::max());
  });

  EXPECT_TRUE(cleaned_up);
}

TEST_F(VirtualClock, stands_still_while_a_fiber_runs) {
  virtual_clock time;

  run(
      [&] {
        const auto start = weft::clock::now();
        auto sleeper = spawn([] { sleep_for(1h); });
        for (int i = 0; i < 1'000; ++i) yield();
        EXPECT_EQ(weft::clock::now(), start);
        sleeper.join();
        EXPECT_EQ(weft::clock::now() - start, 1h);
      },
      {.clock = &time});
}

TEST_F(VirtualClock, expires_scopes_and_timed_waits) {
  virtual_clock time;

  run(
      [&] {
        weft::event never;
        EXPECT_FALSE(never.wait_for(10min));
        EXPECT_FALSE(weft::move_on_after(20min, [&] { never.wait(); }));
      },
      {.clock = &time});

  EXPECT_EQ(time.elapsed(), 30min);
}

TEST_F(VirtualClock, moves_by_hand_alone_if_asked_to) {
  virtual_clock time{time_moves::by_hand};

  run(
      [&] {
        bool awake = false;
        auto sleeper = spawn([&] {
          sleep_for(10s);
          awake = true;
        });
        all_blocked();
        time.advance(9s);
        all_blocked();
        EXPECT_FALSE(awake);
        time.advance(1s);
        time.advance(-5s);
        all_blocked();
        EXPECT_TRUE(awake);
        sleeper.join();
      },
      {.clock = &time});

  EXPECT_EQ(time.elapsed(), 10s);
}

TEST_F(VirtualClock, what_is_due_after_an_advance_happens_in_the_next_yield) {
  virtual_clock time{time_moves::by_hand};

  run(
      [&] {
        auto sleeper = spawn([] { sleep_for(10s); });
        all_blocked();
        time.advance(10s);
        EXPECT_FALSE(sleeper.done());
        yield();
        EXPECT_TRUE(sleeper.done());
      },
      {.clock = &time});
}

TEST_F(VirtualClock, a_wait_and_the_scope_around_it_end_in_the_order_of_their_deadlines) {
  virtual_clock time{time_moves::by_hand};

  run(
      [&] {
        std::optional<bool> in_time, too_late;
        auto both = spawn([&] {
          in_time = weft::move_on_after(500ms, [] { sleep_for(5ms); });
          too_late = weft::move_on_after(5ms, [] { sleep_for(500ms); });
        });
        all_blocked();
        time.advance(1h);  // as if the worker had had no time for them
        all_blocked();
        time.advance(1h);
        both.join();
        EXPECT_EQ(in_time, true);
        EXPECT_EQ(too_late, false);
      },
      {.clock = &time});
}

TEST_F(VirtualClock, reaches_the_end_of_time) {
  virtual_clock time{time_moves::by_hand};

  run(
      [&] {
        auto sleeper = spawn([] {
          weft::timeout within{24h * 365 * 200};
          sleep_for(24h * 365 * 100);
        });
        all_blocked();
        time.advance(weft::clock::duration::max());
        sleeper.join();
      },
      {.clock = &time});
}

TEST_F(VirtualClock, waits_in_real_time_for_other_threads) {
  virtual_clock time;

  run(
      [&] {
        weft::event done;
        std::thread other{[&] { done.set(); }};
        done.wait();
        other.join();
      },
      {.clock = &time});

  EXPECT_EQ(time.elapsed(), 0s);
}

TEST_F(VirtualClock, is_for_one_worker) {
  virtual_clock time;

  try {
    weft::runtime several{{.workers = 2, .clock = &time}};
    ADD_FAILURE() << "it was accepted";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::invalid_argument);
  }
}

TEST_F(VirtualClock, goes_on_in_the_next_runtime) {
  virtual_clock time;

  for (int i = 0; i < 2; ++i) run([] { sleep_for(1h); }, {.clock = &time});

  EXPECT_EQ(time.elapsed(), 2h);
}

// ---- waiting for quiet -------------------------------------------------------------------------

TEST_F(AllBlocked, returns_when_every_other_fiber_waits) {
  run([] {
    weft::event go;
    int turns = 0;
    auto busy = spawn([&] {
      for (; turns < 1'000; ++turns) yield();
      go.wait();
    });

    all_blocked();

    EXPECT_EQ(turns, 1'000);
    go.set();
    busy.join();
  });
}

TEST_F(AllBlocked, of_a_coroutine_returns_when_every_other_task_waits) {
  run([] {
    weft::event go;
    int turns = 0;
    auto busy = spawn([&] {
      for (; turns < 1'000; ++turns) yield();
      go.wait();
    });
    auto watcher = weft::co::spawn([&]() -> weft::co::task<> {
      co_await weft::testing::co_all_blocked();
      EXPECT_EQ(turns, 1'000);
      weft::cancel_scope scope;
      scope.request_cancel();
      std::error_code ec;
      co_await weft::testing::co_all_blocked(ec);
      EXPECT_EQ(ec, weft::errc::cancelled);
    });

    watcher.join();

    watcher.result();
    go.set();
    busy.join();
  });
}

TEST_F(AllBlocked, comes_before_a_virtual_clock_jumps) {
  virtual_clock time;

  run(
      [&] {
        auto sleeper = spawn([] { sleep_for(1h); });
        all_blocked();
        EXPECT_EQ(time.elapsed(), 0s);
        sleeper.join();
      },
      {.clock = &time});
}

TEST_F(AllBlocked, callers_take_turns) {
  run([] {
    std::vector<int> order;
    std::vector<weft::fiber<>> watchers;
    for (int i = 0; i < 3; ++i) {
      watchers.push_back(spawn([&order, i] {
        all_blocked();
        order.push_back(i);
      }));
    }

    for (auto& each : watchers) each.join();

    EXPECT_EQ(order, (std::vector{0, 1, 2}));
  });
}

TEST_F(AllBlocked, can_be_cancelled) {
  run([] {
    std::error_code ec;
    auto watcher = spawn([&] { all_blocked(ec); });
    yield();

    watcher.request_cancel();
    watcher.join();

    EXPECT_EQ(ec, weft::errc::cancelled);
  });
}

TEST_F(AllBlocked, returns_at_once_on_a_plain_thread) { all_blocked(); }

// ---- the order of a seed -----------------------------------------------------------------------

std::vector<int> order_of(std::uint64_t seed) {
  std::vector<int> order;
  weft::runtime instance{{.order_seed = seed}};
  instance.run([&] {
    std::vector<weft::fiber<>> all;
    for (int i = 0; i < 20; ++i) {
      all.push_back(spawn([&order, i] {
        order.push_back(i);
        yield();
        order.push_back(i);
      }));
    }
    for (auto& each : all) each.join();
  });
  return order;
}

TEST_F(OrderSeed, gives_the_same_order_at_every_run) {
  for (const std::uint64_t seed : {0u, 1u, 2u}) EXPECT_EQ(order_of(seed), order_of(seed));
}

TEST_F(OrderSeed, gives_another_order_for_another_seed) {
  EXPECT_NE(order_of(1), order_of(2));
  EXPECT_NE(order_of(2), order_of(3));
}

TEST_F(OrderSeed, runs_every_fiber) {
  const auto order = order_of(7);

  std::array<int, 20> times{};
  for (const int each : order) ++times[static_cast<std::size_t>(each)];

  for (const int each : times) EXPECT_EQ(each, 2);
}

// ---- a driver of one's own ---------------------------------------------------------------------

TEST_F(FakeDriver, notes_the_polls_and_reports_what_its_script_does) {
  run([] {
    weft::event happened;
    fake_driver& driver = fake_driver::install([&](auto /*deadline*/) { happened.set(); });

    happened.wait();

    ASSERT_EQ(driver.polls().size(), 1u);
    EXPECT_EQ(driver.polls().back(), weft::driver::clock::time_point::max());
    driver.set_script({});
  });
}

TEST_F(FakeDriver, is_told_how_long_it_may_wait) {
  run([] {
    fake_driver& driver = fake_driver::install();
    auto deadline = weft::clock::now();

    // A machine under load may come to a sleep when its time is over already.
    for (auto length = 3ms; driver.polls().empty(); length *= 2) {
      deadline = weft::clock::now() + length;
      weft::this_fiber::sleep_until(deadline);
    }

    EXPECT_GE(driver.polls().back(), deadline);
    EXPECT_LT(driver.polls().back(), deadline + 1s);
  });
}

TEST_F(FakeDriver, is_woken_by_other_threads) {
  run([] {
    const fake_driver& driver = fake_driver::install();
    weft::event happened;
    std::thread other{[&] { happened.set(); }};

    happened.wait();
    other.join();

    EXPECT_LE(driver.wakes(), 1u);
  });
}

// ---- the watchdog ------------------------------------------------------------------------------

TEST_F(Watchdog, says_nothing_about_a_test_that_ends) {
  const weft::testing::watchdog dog{"Suite.test", 100s};
}

using WatchdogDeath = Watchdog;

TEST_F(WatchdogDeath, ends_a_test_that_hangs_and_names_its_fibers) {
  enter_death_test();
  EXPECT_EXIT(
      {
        const weft::testing::watchdog dog("Suite.hangs", 1s);
        weft::runtime instance;
        instance.run([] {
          auto stuck = spawn({.name = "stuck"}, [] { weft::event{}.wait(); });
          stuck.join();
        });
      },
      ::testing::KilledBySignal(SIGABRT),
      "watchdog: Suite.hangs has not ended after 1 s\n(.|\n)*"
      "\"main\" [^\n]*waits[^\n]*\n(.|\n)*\"stuck\" [^\n]*waits[^\n]*; spawned by fiber [0-9]+ at "
      "[^\n]*testing_kit_test.cpp");
}

TEST_F(Watchdog, a_dump_names_every_fiber_and_what_it_does) {
  std::array<int, 2> ends;
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  run([&] {
    auto waiting = spawn({.name = "waiting"}, [] { sleep_for(1h); });
    all_blocked();
    auto fresh = spawn({.name = "fresh"}, [] {});

    weft::dump(ends[1]);

    waiting.request_cancel();
    waiting.join();
    fresh.join();
  });
  ::close(ends[1]);
  std::array<char, 4096> text;
  const auto size = ::read(ends[0], text.data(), text.size());
  ::close(ends[0]);

  ASSERT_GT(size, 0);
  const std::string dump{text.data(), static_cast<std::size_t>(size)};
  EXPECT_NE(dump.find("\"main\" (fiber "), std::string::npos) << dump;
  EXPECT_NE(dump.find(") runs\n"), std::string::npos) << dump;
  EXPECT_NE(dump.find(") sleeps, for 0."), std::string::npos) << dump;
  EXPECT_NE(dump.find(") has not started; "), std::string::npos) << dump;
}

}  // namespace
