// The end of a runtime of several workers, and of the fibers that are left on them.
#include <atomic>
#include <chrono>
#include <csignal>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>
#include <weft/fiber/detail/wait.hpp>
#include <weft/fiber/detail/worker.hpp>

#include "support/runtime_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using weft::runtime;
using weft::spawn_on;
using weft::detail::wait_queue;
using weft::detail::wake_reason;
using weft::this_fiber::sleep_for;
using weft::this_fiber::yield;

constexpr unsigned four = 4;

class WorkersEnd : public weft::test::runtime_test {};

using WorkersDeath = WorkersEnd;

// Without the check of run() that main leaves no fibers.
template <class Function>
void run_to_the_end(Function&& main_function, unsigned workers) {
  runtime instance{{.workers = workers}};
  instance.run(std::forward<Function>(main_function));
}

TEST_F(WorkersEnd, the_end_of_main_cancels_the_fibers_of_all_workers) {
  std::atomic<int> unwound = 0;

  run_to_the_end(
      [&] {
        std::atomic<int> started = 0;
        for (unsigned i = 0; i < four; ++i) {
          spawn_on(i, [&] {
            ++started;
            std::error_code ec;
            sleep_for(24h, ec);
            ++unwound;
          }).detach();
        }
        while (started != 4) yield();
      },
      four);

  EXPECT_EQ(unwound, 4);
}

TEST_F(WorkersEnd, fibers_of_an_ending_runtime_still_hear_from_other_workers) {
  bool heard = false;
  run_to_the_end(
      [&] {
        std::atomic<int> started = 0;
        static wait_queue queue;
        spawn_on(1, [&] {
          ++started;
          heard = weft::detail::wait(queue, weft::detail::no_deadline,
                                     weft::detail::cancellation::ignored) == wake_reason::ready;
        }).detach();
        spawn_on(2, [&] {
          ++started;
          std::error_code ec;
          sleep_for(24h, ec);
          while (!queue.wake_one(wake_reason::ready)) yield();
        }).detach();
        while (started != 2) yield();
      },
      3);
  EXPECT_TRUE(heard);
}

// Calls `function` in a fiber of worker 1 that the end of main has cancelled.
template <class Function>
void call_after_the_end(Function&& function) {
  run_to_the_end(
      [&] {
        std::atomic<bool> started = false;
        spawn_on(1, [&] {
          started = true;
          std::error_code ec;
          sleep_for(24h, ec);
          function();
        }).detach();
        while (!started) yield();
      },
      2);
}

TEST_F(WorkersEnd, a_spawn_on_another_worker_is_refused_once_main_has_returned) {
  for (const unsigned worker : {0U, 1U}) {
    std::error_code told_if_cancelled;
    std::error_code told_in_a_shield;
    call_after_the_end([&] {
      const auto spawn_until_refused = [&](std::error_code& seen) {
        while (!seen) {
          auto late = spawn_on(
              worker, {}, [] {}, seen);
          yield();
        }
      };
      spawn_until_refused(told_if_cancelled);
      const weft::shield uncancelled;
      spawn_until_refused(told_in_a_shield);
    });
    EXPECT_EQ(told_if_cancelled, weft::errc::cancelled);
    EXPECT_EQ(told_in_a_shield, weft::errc::closed);
  }
}

// It would have been reported if it had failed.
TEST_F(WorkersEnd, a_fiber_that_ends_by_such_a_refusal_counts_as_cancelled) {
  call_after_the_end([] {
    for (;;) {
      spawn_on(0, [] {}).detach();
      yield();
    }
  });
  EXPECT_TRUE(take_diagnostics().empty());
}

TEST_F(WorkersDeath, a_stubborn_fiber_on_any_worker_ends_the_process_with_its_name) {
  EXPECT_EXIT(
      {
        enter_death_test();
        weft::run(
            [] {
              std::atomic<bool> started = false;
              spawn_on(1, {.name = "mule"}, [&] {
                started = true;
                for (;;) yield();
              }).detach();
              while (!started) yield();
            },
            {.workers = 2});
      },
      testing::KilledBySignal(SIGABRT), "mule");
}

// Leaves a fiber on worker `index` of so many, or on each, that never parks once it is cancelled.
void leave_spinners(unsigned workers, std::optional<unsigned> index = {}) {
  weft::run(
      [=] {
        std::atomic<unsigned> started = 0;
        unsigned spawned = 0;
        for (unsigned i = 0; i < workers; ++i) {
          if (index.value_or(i) != i) continue;
          ++spawned;
          spawn_on(i, {.name = "spinner"}, [&] {
            std::error_code ec;
            ++started;
            if (weft::detail::this_worker().index == 0) sleep_for(24h, ec);  // lets main return
            for (;;) std::this_thread::yield();
          }).detach();
        }
        while (started != spawned) yield();
      },
      {.workers = workers});
}

TEST_F(WorkersDeath, a_fiber_that_never_parks_ends_the_process_with_its_name) {
  EXPECT_EXIT(
      {
        enter_death_test();
        leave_spinners(2, 1);
      },
      testing::KilledBySignal(SIGABRT), "\"spinner\" on worker 1 has run for 5 s without a wait");
}

TEST_F(WorkersDeath, a_fiber_of_worker_0_that_never_parks_ends_the_process_with_its_name) {
  EXPECT_EXIT(
      {
        enter_death_test();
        leave_spinners(2, 0);
      },
      testing::KilledBySignal(SIGABRT), "\"spinner\" on worker 0 has run for 5 s without a wait");
}

TEST_F(WorkersDeath, a_fiber_of_the_only_worker_that_never_parks_ends_the_process_with_its_name) {
  EXPECT_EXIT(
      {
        enter_death_test();
        leave_spinners(1);
      },
      testing::KilledBySignal(SIGABRT), "\"spinner\" on worker 0 has run for 5 s without a wait");
}

TEST_F(WorkersDeath, fibers_of_all_workers_that_never_park_end_the_process) {
  EXPECT_EXIT(
      {
        enter_death_test();
        leave_spinners(2);
      },
      testing::KilledBySignal(SIGABRT), "\"spinner\" on worker . has run for 5 s without a wait");
}

}  // namespace
