// The driver of a worker: the one that only sleeps, and when the scheduler polls which.
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <functional>
#include <memory>
#include <pthread.h>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <weft/co.hpp>
#include <weft/fiber.hpp>
#include <weft/fiber/detail/wait.hpp>
#include <weft/fiber/detail/worker.hpp>

#include "sleeping_driver.hpp"
#include "support/runtime_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using weft::detail::sleeping_driver;
using weft::this_fiber::yield;
using clock_type = weft::driver::clock;

class SleepingDriver : public weft::test::runtime_test {};

class Driver : public weft::test::runtime_test {};

constexpr auto forever = clock_type::time_point::max();
constexpr auto not_at_all = clock_type::time_point::min();

TEST_F(SleepingDriver, it_polls_without_waiting_when_it_may_not_wait) {
  sleeping_driver driver;

  driver.poll(not_at_all);
  driver.poll(clock_type::now() - 1h);
}

TEST_F(SleepingDriver, it_waits_until_the_deadline_and_not_longer_than_that) {
  sleeping_driver driver;
  const auto deadline = clock_type::now() + 3ms;

  while (clock_type::now() < deadline) driver.poll(deadline);
}

TEST_F(SleepingDriver, a_wake_before_the_poll_ends_it) {
  sleeping_driver driver;

  driver.wake();

  driver.poll(forever);
}

TEST_F(SleepingDriver, several_wakes_before_a_poll_end_that_one_alone) {
  sleeping_driver driver;
  driver.wake();
  driver.wake();
  driver.poll(forever);

  const auto deadline = clock_type::now() + 2ms;
  int polls = 0;
  while (clock_type::now() < deadline) {
    driver.poll(deadline);
    ++polls;
  }

  EXPECT_GE(polls, 1);
}

TEST_F(SleepingDriver, a_wake_from_another_thread_ends_a_poll_under_way) {
  sleeping_driver driver;
  for (int i = 0; i < 100; ++i) {
    int written_before = 0;
    std::thread other{[&] {
      written_before = i;
      driver.wake();
    }};

    driver.poll(forever);

    EXPECT_EQ(written_before, i);  // what the waker did before is seen after the poll
    other.join();
  }
}

sleeping_driver* woken_by_signal = nullptr;

extern "C" void wake_the_driver(int /*signal*/) { woken_by_signal->wake(); }

// Has `driver` woken by the handler of SIGUSR1.
class WokenBySignal : public SleepingDriver {
protected:
  void SetUp() override {
    SleepingDriver::SetUp();
    woken_by_signal = &driver_;

    struct sigaction action {};

    action.sa_handler = wake_the_driver;
    action.sa_flags = SA_RESTART;
    ASSERT_EQ(::sigaction(SIGUSR1, &action, &former_), 0);
  }

  void TearDown() override {
    ::sigaction(SIGUSR1, &former_, nullptr);
    SleepingDriver::TearDown();
  }

  sleeping_driver driver_;

private:
  struct sigaction former_ {};
};

TEST_F(WokenBySignal, a_wake_from_a_signal_handler_ends_the_next_poll_and_keeps_errno) {
  errno = EXDEV;

  ::raise(SIGUSR1);

  EXPECT_EQ(errno, EXDEV);
  driver_.poll(forever);
}

TEST_F(WokenBySignal, a_wake_from_a_signal_handler_ends_a_poll_under_way) {
  const pthread_t sleeper = ::pthread_self();
  std::thread other{[&] { ::pthread_kill(sleeper, SIGUSR1); }};

  driver_.poll(forever);

  other.join();
}

TEST_F(SleepingDriver, nobody_waits_for_it) {
  const sleeping_driver driver;

  EXPECT_FALSE(driver.has_waiters());
}

// ---- the scheduler and its driver --------------------------------------------------------------

// What a driver was asked to do.
struct poll_notes {
  std::vector<clock_type::time_point> deadlines;
  std::atomic<bool> polled_without_limit{false};
  std::function<void()> meanwhile = [] {};  // called by each poll
};

// Notes its polls, and sleeps as it is told.
class noting_driver final : public weft::driver {
public:
  explicit noting_driver(poll_notes& notes) : notes_(notes) {}

  void poll(clock::time_point deadline) override {
    notes_.deadlines.push_back(deadline);
    if (deadline == forever) notes_.polled_without_limit = true;
    notes_.meanwhile();
    sleeper_.poll(deadline);
  }

  void wake() noexcept override { sleeper_.wake(); }

  bool has_waiters() const noexcept override { return false; }

  void after_fork() override {}

private:
  poll_notes& notes_;
  sleeping_driver sleeper_;
};

constexpr int kind_of_noting_driver = 0;

void install(poll_notes& notes) {
  weft::detail::install_driver(std::make_unique<noting_driver>(notes), &kind_of_noting_driver);
}

TEST_F(Driver, it_is_polled_without_waiting_every_61_picks_while_fibers_are_ready) {
  run([] {
    poll_notes notes;
    auto other = weft::spawn([] {
      for (int i = 0; i < 10'000; ++i) yield();
    });
    yield();
    install(notes);

    // Two picks a turn: ours and the other's.
    for (int i = 0; i < 610; ++i) yield();

    EXPECT_EQ(notes.deadlines.size(), 20u);
    for (const auto& each : notes.deadlines) EXPECT_EQ(each, not_at_all);
    other.join();
  });
}

TEST_F(Driver, it_is_polled_at_every_yield_of_a_fiber_that_is_alone) {
  run([] {
    poll_notes notes;
    install(notes);

    for (int i = 0; i < 10; ++i) yield();

    EXPECT_EQ(notes.deadlines, std::vector(10, not_at_all));
  });
}

TEST_F(Driver, it_is_polled_after_64_calls_that_have_not_waited_whoever_is_ready) {
  run([] {
    weft::semaphore none;
    poll_notes notes;
    install(notes);

    for (int i = 0; i < 640; ++i) none.try_acquire();
    EXPECT_EQ(notes.deadlines, std::vector(10, not_at_all));

    bool running = true;
    auto other = weft::spawn([&] {
      while (running) yield();
    });
    notes.deadlines.clear();
    for (int i = 0; i < 640; ++i) none.try_acquire();
    EXPECT_GE(notes.deadlines.size(), 10u);
    running = false;
    other.join();
  });
}

TEST_F(Driver, it_is_polled_after_64_operations_of_a_coroutine_that_have_not_waited) {
  run([] {
    poll_notes notes;
    install(notes);
    weft::semaphore many{640};

    weft::co::spawn([&]() -> weft::co::task<> {
      notes.deadlines.clear();
      for (int i = 0; i < 640; ++i) co_await many.co_acquire();
      EXPECT_EQ(notes.deadlines, std::vector(10, not_at_all));
    }).join();
  });
}

TEST_F(Driver, what_it_calls_makes_no_fiber_give_way) {
  weft::semaphore none;
  int turns = 0;
  poll_notes notes;
  notes.meanwhile = [&] {
    const int turns_before = turns;
    for (int i = 0; i < 100; ++i) none.try_acquire();
    EXPECT_EQ(turns, turns_before);
  };

  run([&] {
    auto other = weft::spawn([&] {
      for (; turns < 1'000; ++turns) yield();
    });
    install(notes);
    for (int i = 0; i < 1'000; ++i) yield();
    other.join();
  });

  EXPECT_FALSE(notes.deadlines.empty());
}

// Sleeps until the driver has been polled, and returns when the last sleep had to end: one that a
// loaded machine comes to too late is over without a poll.
clock_type::time_point sleep_until_polled(const poll_notes& notes) {
  for (auto length = 2ms;; length *= 2) {
    const auto deadline = clock_type::now() + length;
    weft::this_fiber::sleep_until(deadline);
    if (!notes.deadlines.empty()) return deadline;
  }
}

TEST_F(Driver, it_is_polled_until_the_next_timer_when_no_fiber_is_ready) {
  run([] {
    poll_notes notes;
    install(notes);

    const auto deadline = sleep_until_polled(notes);

    // Timers are rounded up to at most 1 ms; a look before, to sort them anew, is allowed.
    EXPECT_GE(notes.deadlines.back(), deadline);
    EXPECT_LE(notes.deadlines.back(), deadline + 1ms);
  });
}

TEST_F(Driver, it_is_polled_without_a_limit_when_there_is_no_timer) {
  weft::runtime worker;
  poll_notes notes;
  std::thread other;

  worker.run([&] {
    weft::detail::wait_queue nobody_wakes_it;
    install(notes);
    other = std::thread([&] {
      while (!notes.polled_without_limit) std::this_thread::yield();
      worker.request_stop();
    });
    EXPECT_EQ(weft::detail::wait(nobody_wakes_it), weft::detail::wake_reason::cancelled);
  });
  other.join();
}

TEST_F(Driver, it_is_known_by_its_kind) {
  run([] {
    poll_notes notes;
    const int another_kind = 0;
    EXPECT_EQ(weft::detail::installed_driver(&kind_of_noting_driver), nullptr);

    install(notes);

    EXPECT_NE(weft::detail::installed_driver(&kind_of_noting_driver), nullptr);
    EXPECT_EQ(weft::detail::installed_driver(&another_kind), nullptr);
  });
  EXPECT_EQ(weft::detail::installed_driver(&kind_of_noting_driver), nullptr);
}

TEST_F(Driver, the_one_before_it_is_never_polled_again) {
  run([] {
    poll_notes first;
    poll_notes second;
    install(first);
    sleep_until_polled(first);
    const auto polls = first.deadlines.size();

    install(second);
    sleep_until_polled(second);

    EXPECT_EQ(first.deadlines.size(), polls);
  });
}

TEST_F(Driver, a_request_to_stop_during_its_installation_is_not_lost) {
  for (int i = 0; i < 50; ++i) {
    weft::runtime worker;
    poll_notes notes;
    std::thread other{[&] { worker.request_stop(); }};

    worker.run([&] {
      install(notes);
      std::error_code ec;
      weft::this_fiber::sleep_for(24h, ec);
      EXPECT_EQ(ec, weft::errc::cancelled);
    });
    other.join();
  }
}

}  // namespace
