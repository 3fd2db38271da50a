// What leak_check reports: what a test leaves on any worker of its runtime, and descriptors.
#include <chrono>
#include <cstddef>
#include <fcntl.h>
#include <functional>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>
#include <weft/fiber/testing.hpp>

#include "support/runtime_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using weft::spawn;
using weft::spawn_on;
using weft::testing::all_blocked;
using weft::testing::current_holdings;
using weft::testing::fake_driver;
using weft::testing::holdings;
using weft::this_fiber::sleep_for;
using weft::this_fiber::yield;

using lines = std::vector<std::string>;

class LeakCheck : public weft::test::runtime_test {};

lines leaks_of(const std::function<void()>& body) {
  lines found;
  {
    const weft::testing::leak_check check{[&](const std::string& line) { found.push_back(line); }};
    body();
  }
  return found;
}

TEST_F(LeakCheck, says_nothing_when_nothing_is_left) {
  run([] { EXPECT_EQ(leaks_of([] { spawn([] { sleep_for(1ms); }).join(); }), lines{}); });
}

TEST_F(LeakCheck, finds_a_fiber_with_its_stack_and_its_timer) {
  run([] {
    weft::fiber<> left_over;
    const auto found = leaks_of([&] {
      left_over = spawn([] { sleep_for(1h); });
      all_blocked();
    });

    EXPECT_EQ(found, (lines{"1 fibers too many", "1 waiting fibers too many", "1 stacks too many",
                            "1 timers too many"}));
    left_over.request_cancel();
    left_over.join();
  });
}

TEST_F(LeakCheck, finds_a_scope_with_a_deadline) {
  run([] {
    std::optional<weft::timeout> limit;
    const auto found = leaks_of([&] { limit.emplace(1h); });

    EXPECT_EQ(found, (lines{"1 cancel scopes too many"}));
  });
}

TEST_F(LeakCheck, finds_a_descriptor_on_a_plain_thread) {
  int fd = -1;

  const auto found = leaks_of([&] { fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC); });

  EXPECT_EQ(found, (lines{"descriptor " + std::to_string(fd) + " left open: /dev/null"}));
  ::close(fd);
}

// ---- on other workers --------------------------------------------------------------------------

TEST_F(LeakCheck, finds_a_fiber_that_waits_on_another_worker) {
  run(
      [] {
        weft::event go;
        weft::fiber<> left_over;
        const auto found = leaks_of([&] {
          weft::event started;
          left_over = spawn_on(1, [&] {
            started.set();
            go.wait();
          });
          started.wait();
        });

        EXPECT_EQ(found,
                  (lines{"1 fibers too many", "1 waiting fibers too many", "1 stacks too many"}));
        go.set();
        left_over.join();
      },
      {.workers = 2});
}

TEST_F(LeakCheck, finds_a_timer_on_another_worker) {
  run(
      [] {
        weft::fiber<> left_over;
        const auto found = leaks_of([&] {
          weft::event started;
          left_over = spawn_on(2, [&] {
            started.set();
            sleep_for(1h);
          });
          started.wait();
        });

        EXPECT_EQ(found, (lines{"1 fibers too many", "1 waiting fibers too many",
                                "1 stacks too many", "1 timers too many"}));
        left_over.request_cancel();
        left_over.join();
      },
      {.workers = 3});
}

TEST_F(LeakCheck, finds_a_scope_with_a_deadline_on_another_worker) {
  run(
      [] {
        weft::event left, may_enter, entered, may_leave;
        auto owner = spawn_on(1, [&] {
          may_enter.wait();
          const weft::timeout limit{1h};
          entered.set();
          may_leave.wait();
        });
        const auto found = leaks_of([&] {
          may_enter.set();
          entered.wait();
        });

        EXPECT_EQ(found, (lines{"1 cancel scopes too many"}));
        may_leave.set();
        owner.join();
      },
      {.workers = 2});
}

TEST_F(LeakCheck, finds_waits_in_the_driver_of_another_worker) {
  run(
      [] {
        const auto found = leaks_of(
            [&] { spawn_on(1, [] { fake_driver::install().set_has_waiters(true); }).join(); });

        EXPECT_EQ(found, (lines{"waits in the driver"}));
        spawn_on(1, [] { fake_driver::install(); }).join();
      },
      {.workers = 2});
}

// A round in which fibers of all workers join each other, wait, sleep, are cancelled, and use
// stacks of several sizes.
void join_fibers_everywhere() {
  weft::event go;
  std::vector<weft::fiber<>> sleepers;
  weft::task_group group;
  for (std::size_t i = 0; i < 3; ++i) {
    group.spawn_on(i, [&] {
      const weft::timeout limit{1h};
      go.wait();
    });
    group.spawn_on(i, [i] {
      const std::size_t stack_size = std::size_t{65'536} << i;
      spawn_on((i + 1) % 3, {.stack_size = stack_size}, yield).join();
    });
    sleepers.push_back(spawn_on(i, [] { sleep_for(1h); }));
  }
  go.set();
  group.join();
  for (auto& each : sleepers) each.request_cancel();
  for (auto& each : sleepers) each.join();
}

TEST_F(LeakCheck, counts_nothing_of_what_was_joined_on_any_worker) {
  run(
      [] {
        for (int i = 0; i < 500; ++i) {
          join_fibers_everywhere();
          ASSERT_EQ(current_holdings(), holdings{}) << "round " << i;
        }
      },
      {.workers = 3});
}

TEST_F(LeakCheck, counts_nothing_of_a_fiber_that_is_joined_last) {
  run(
      [] {
        for (int i = 0; i < 2'000; ++i) {
          spawn_on(1, {.stack_size = i % 2 == 0 ? 0u : 1u << 20}, [] {}).join();
          ASSERT_EQ(current_holdings(), holdings{}) << "round " << i;
        }
      },
      {.workers = 2});
}

TEST_F(LeakCheck, counts_what_waits_on_the_first_worker_for_a_fiber_of_another) {
  run(
      [] {
        auto counter = spawn_on(1, current_holdings);
        counter.join();

        EXPECT_EQ(counter.result(), (holdings{.fibers = 1, .waiting = 1, .stacks = 1}));
      },
      {.workers = 2});
}

TEST_F(LeakCheck, counts_though_its_caller_is_cancelled) {
  run(
      [] {
        weft::event started;
        auto sleeper = spawn_on(1, [&] {
          started.set();
          sleep_for(1h);
        });
        started.wait();
        weft::cancel_scope cancelled;
        cancelled.request_cancel();

        EXPECT_EQ(current_holdings(),
                  (holdings{.fibers = 1, .waiting = 1, .stacks = 1, .timers = 1}));

        const weft::shield undisturbed;
        sleeper.request_cancel();
        sleeper.join();
      },
      {.workers = 2});
}

TEST_F(LeakCheck, leaves_out_a_worker_whose_fibers_are_being_ended) {
  std::optional<holdings> counted;
  weft::runtime instance{{.workers = 2}};
  instance.run([&] {
    weft::event started;
    spawn_on(1, [&] {
      started.set();
      std::error_code ec;
      sleep_for(1h, ec);
      counted = current_holdings();
    }).detach();
    started.wait();
  });

  EXPECT_EQ(counted, (holdings{.fibers = 1, .stacks = 1}));
}

}  // namespace
