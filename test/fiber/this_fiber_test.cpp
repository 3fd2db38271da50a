// weft::this_fiber: yield, sleep, who am I, and all of it on a thread without fibers.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <mutex>
#include <numeric>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>

#include "support/runtime_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;
using weft::spawn;
using weft::this_fiber::sleep_for;
using weft::this_fiber::sleep_until;
using weft::this_fiber::yield;

class Yield : public weft::test::runtime_test {};

class Sleep : public weft::test::runtime_test {};

class Errno : public weft::test::runtime_test {};

class OffAFiber : public weft::test::runtime_test {};

TEST_F(Yield, fibers_that_yield_take_turns_in_the_order_of_their_first) {
  run([] {
    std::vector<int> order;
    std::vector<weft::fiber<>> fibers;

    for (int i = 0; i < 4; ++i) {
      fibers.push_back(spawn([&order, i] {
        for (int turn = 0; turn < 3; ++turn) {
          order.push_back(i);
          yield();
        }
      }));
    }
    for (auto& each : fibers) each.join();

    EXPECT_EQ(order, (std::vector{0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3}));
  });
}

TEST_F(Yield, a_fiber_that_is_alone_goes_on) {
  run([] {
    for (int i = 0; i < 1'000; ++i) yield();
  });
}

TEST_F(Yield, a_fiber_that_yields_alone_does_not_starve_a_sleeper) {
  run([] {
    bool slept = false;
    auto sleeper = spawn([&] {
      for (int i = 0; i < 5; ++i) sleep_for(1ms);
      slept = true;
    });

    while (!slept) yield();

    sleeper.join();
  });
}

TEST_F(Yield, fibers_that_yield_to_each_other_do_not_starve_a_sleeper) {
  run([] {
    bool slept = false;
    std::vector<weft::fiber<>> busy;
    for (int i = 0; i < 3; ++i) {
      busy.push_back(spawn([&] {
        while (!slept) yield();
      }));
    }

    for (int i = 0; i < 5; ++i) sleep_for(1ms);
    slept = true;

    for (auto& each : busy) each.join();
  });
}

// More of them than a worker wakes in one poll.
TEST_F(Yield, waits_that_come_too_late_do_not_starve_a_sleeper) {
  run([] {
    bool slept = false;
    std::vector<weft::fiber<>> late;
    for (int i = 0; i < 100; ++i) {
      late.push_back(spawn([&] {
        weft::mutex lock;
        weft::condition_variable never;
        std::unique_lock hold{lock};
        while (!slept) never.wait_until(hold, steady_clock::time_point{});
      }));
    }

    for (int i = 0; i < 5; ++i) sleep_for(1ms);
    slept = true;

    for (auto& each : late) each.join();
  });
}

TEST_F(Yield, a_sleep_of_nothing_does_not_starve_a_sleeper) {
  run([] {
    bool slept = false;
    auto sleeper = spawn([&] {
      sleep_for(1ms);
      slept = true;
    });

    while (!slept) sleep_for(0s);

    sleeper.join();
  });
}

// ---- sleeping ----------------------------------------------------------------------------------

// Spawns a sleeper for each of `delays` and returns these in the order in which they woke. On a
// machine so loaded that the first is due before the last one sleeps, it tries again with more
// time.
std::vector<int> order_of_waking(const std::vector<int>& delays) {
  for (auto unit = 1ms;; unit *= 2) {
    const auto start = steady_clock::now();
    std::vector<int> order;
    std::vector<weft::fiber<>> fibers;
    for (const int delay : delays) {
      fibers.push_back(spawn([&order, start, delay, unit] {
        sleep_until(start + delay * unit);
        order.push_back(delay);
      }));
    }
    yield();
    const bool in_time = steady_clock::now() < start + *std::ranges::min_element(delays) * unit;
    for (auto& each : fibers) each.join();
    if (in_time) return order;
  }
}

TEST_F(Sleep, sleepers_wake_in_the_order_of_their_deadlines) {
  run([] { EXPECT_EQ(order_of_waking({50, 10, 40, 20, 30}), (std::vector{10, 20, 30, 40, 50})); });
}

// Many more than a worker wakes in one poll.
TEST_F(Sleep, sleepers_with_one_deadline_wake_in_the_order_in_which_they_came) {
  std::vector<int> came(500);
  std::iota(came.begin(), came.end(), 0);
  run([&] {
    for (auto delay = 5ms;; delay *= 2) {
      const auto deadline = steady_clock::now() + delay;
      std::vector<int> order;
      std::vector<weft::fiber<>> fibers;
      for (const int i : came) {
        fibers.push_back(spawn([&order, deadline, i] {
          sleep_until(deadline);
          order.push_back(i);
        }));
      }
      yield();
      const bool in_time = steady_clock::now() < deadline;
      for (auto& each : fibers) each.join();
      if (!in_time) continue;  // one of them did not sleep: the machine is loaded
      EXPECT_EQ(order, came);
      break;
    }
  });
}

TEST_F(Sleep, it_never_ends_early) {
  run([] {
    std::vector<weft::fiber<>> fibers;
    for (int i = 0; i < 50; ++i) {
      fibers.push_back(spawn([i] {
        const auto deadline = steady_clock::now() + i * 333us;
        sleep_until(deadline);
        EXPECT_GE(steady_clock::now(), deadline);
      }));
      sleep_for(100us);
    }
    for (auto& each : fibers) each.join();
  });
}

TEST_F(Sleep, sleep_for_never_ends_early) {
  run([] {
    for (const auto duration : {1ns, 999ns, 1'000'000ns, 1'000'001ns, 3'500'000ns}) {
      const auto start = steady_clock::now();
      sleep_for(duration);
      EXPECT_GE(steady_clock::now() - start, duration);
    }
  });
}

TEST_F(Sleep, zero_lets_the_others_run_first) {
  run([] {
    bool ran = false;
    auto other = spawn([&] { ran = true; });

    sleep_for(0s);

    EXPECT_TRUE(ran);
    other.join();
  });
}

TEST_F(Sleep, less_than_zero_only_yields) {
  run([] {
    bool ran = false;
    auto other = spawn([&] { ran = true; });

    sleep_for(-24h);
    EXPECT_TRUE(ran);
    sleep_for(std::chrono::nanoseconds::min());
    sleep_until(steady_clock::time_point::min());
    sleep_until(steady_clock::time_point{});

    other.join();
  });
}

TEST_F(Sleep, the_end_of_time_is_as_far_as_any_until_it_is_cancelled) {
  run([] {
    std::error_code first;
    std::error_code second;
    auto until = spawn([&] { sleep_until(steady_clock::time_point::max(), first); });
    auto duration = spawn([&] { sleep_for(std::chrono::nanoseconds::max(), second); });
    std::error_code third, fourth;
    auto seconds = spawn([&] { sleep_for(std::chrono::seconds::max(), third); });
    auto years = spawn([&] { sleep_for(std::chrono::duration<double>{1e300}, fourth); });
    sleep_for(2ms);
    EXPECT_FALSE(until.done());
    for (auto* each : {&until, &duration, &seconds, &years}) {
      EXPECT_FALSE(each->done());
      each->request_cancel();
      each->join();
    }

    for (const auto& each : {first, second, third, fourth}) {
      EXPECT_EQ(each, weft::errc::cancelled);
    }
  });
}

TEST_F(Sleep, it_clears_the_error_code) {
  run([] {
    std::error_code ec = weft::errc::eof;
    sleep_for(1us, ec);
    EXPECT_EQ(ec, std::error_code{});

    ec = weft::errc::eof;
    sleep_for(0s, ec);
    EXPECT_EQ(ec, std::error_code{});
  });
}

TEST_F(Sleep, a_sleeping_fiber_lets_the_others_run) {
  run([] {
    int turns = 0;
    auto other = spawn([&] {
      for (; turns < 1'000; ++turns) yield();
    });

    sleep_for(1ms);
    other.join();

    EXPECT_EQ(turns, 1'000);
  });
}

TEST_F(Sleep, thousands_of_sleepers_all_wake) {
  run([] {
    constexpr int count = weft::test::under_tsan ? 500 : 5'000;
    std::vector<weft::fiber<>> fibers;
    int woken = 0;
    for (int i = 0; i < count; ++i) {
      fibers.push_back(spawn([&woken, i] {
        sleep_for((i * 7919 % 50) * 1ms);
        ++woken;
      }));
    }
    for (auto& each : fibers) each.join();

    EXPECT_EQ(woken, count);
  });
}

// ---- errno -------------------------------------------------------------------------------------

TEST_F(Errno, each_fiber_keeps_its_own_across_a_yield) {
  run([] {
    std::vector<weft::fiber<>> fibers;
    for (int i = 1; i <= 10; ++i) {
      fibers.push_back(spawn([i] {
        for (int turn = 0; turn < 100; ++turn) {
          errno = i;
          yield();
          EXPECT_EQ(errno, i);
        }
      }));
    }
    for (auto& each : fibers) each.join();
  });
}

TEST_F(Errno, a_fiber_keeps_its_own_across_a_sleep_that_polls) {
  run([] {
    errno = EXDEV;

    sleep_for(5ms);

    EXPECT_EQ(errno, EXDEV);
  });
}

TEST_F(Errno, each_fiber_keeps_its_own_across_a_sleep) {
  run([] {
    std::vector<weft::fiber<>> fibers;
    for (int i = 1; i <= 10; ++i) {
      fibers.push_back(spawn([i] {
        for (int turn = 0; turn < 5; ++turn) {
          errno = i;
          sleep_for(1ms);
          EXPECT_EQ(errno, i);
        }
      }));
    }
    for (auto& each : fibers) each.join();
  });
}

TEST_F(Errno, a_fiber_keeps_its_own_across_a_join) {
  run([] {
    auto child = spawn([] {
      errno = ENOTTY;
      sleep_for(1ms);
    });
    errno = EXDEV;

    child.join();

    EXPECT_EQ(errno, EXDEV);
  });
}

TEST_F(Errno, a_fiber_that_yields_alone_keeps_its_own) {
  run([] {
    for (int i = 0; i < 200; ++i) {
      errno = EXDEV;
      yield();
      EXPECT_EQ(errno, EXDEV);
    }
  });
}

// ---- thread ------------------------------------------------------------------------------------

thread_local int of_the_thread = 0;

TEST_F(Yield, thread_locals_belong_to_the_worker_and_all_its_fibers) {
  const auto count_on = [](int fibers_a_worker) {
    weft::runtime worker;
    return worker.run([fibers_a_worker] {
      std::vector<weft::fiber<>> fibers;
      for (int i = 0; i < fibers_a_worker; ++i) {
        fibers.push_back(spawn([] {
          for (int turn = 0; turn < 100; ++turn) {
            ++of_the_thread;
            yield();
          }
        }));
      }
      for (auto& each : fibers) each.join();
      return of_the_thread;
    });
  };
  int on_the_other = 0;

  std::thread other{[&] { on_the_other = count_on(3); }};
  of_the_thread = 0;
  const int here = count_on(5);
  other.join();

  EXPECT_EQ(here, 500);
  EXPECT_EQ(on_the_other, 300);
}

TEST_F(Yield, a_fiber_never_changes_its_thread) {
  run([] {
    const auto thread = std::this_thread::get_id();
    std::vector<weft::fiber<>> fibers;
    for (int i = 0; i < 10; ++i) {
      fibers.push_back(spawn([thread] {
        for (int turn = 0; turn < 100; ++turn) {
          yield();
          EXPECT_EQ(std::this_thread::get_id(), thread);
        }
      }));
    }
    for (auto& each : fibers) each.join();
  });
}

// ---- without fibers ----------------------------------------------------------------------------

TEST_F(OffAFiber, there_is_no_id_no_name_and_no_cancellation) {
  EXPECT_EQ(weft::this_fiber::get_id(), weft::fiber_id{});
  EXPECT_EQ(weft::this_fiber::name(), "");
  EXPECT_FALSE(weft::this_fiber::cancel_requested());
}

TEST_F(OffAFiber, yield_and_sleep_act_on_the_thread) {
  std::error_code ec = weft::errc::eof;
  const auto start = steady_clock::now();

  yield();
  sleep_for(2ms);
  sleep_for(-1h);
  sleep_until(start, ec);
  sleep_until(start + 3ms);

  EXPECT_GE(steady_clock::now() - start, 3ms);
  EXPECT_EQ(ec, std::error_code{});
}

TEST_F(OffAFiber, another_thread_of_the_process_runs_no_fibers) {
  run([] {
    weft::fiber_id seen = weft::this_fiber::get_id();
    std::thread([&] { seen = weft::this_fiber::get_id(); }).join();

    EXPECT_EQ(seen, weft::fiber_id{});
  });
}

}  // namespace
