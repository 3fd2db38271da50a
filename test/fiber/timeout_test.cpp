// Timeouts, shields, and the functions that run within a timeout: what ends which wait, and with
// which error.
#include <chrono>
#include <csignal>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>
#include <weft/fiber/cancel_scope.hpp>
#include <weft/fiber/testing.hpp>

#include "on_both.hpp"
#include "players.hpp"
#include "sleepers.hpp"

namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;
using weft::cancel_scope;
using weft::errc;
using weft::move_on_after;
using weft::shield;
using weft::spawn;
using weft::timeout;
using weft::with_timeout;
using weft::test::long_sleep;
using weft::this_fiber::sleep_for;
using weft::this_fiber::yield;

class Timeout : public weft::test::on_both_test {};

using Shield = Timeout;
using WithTimeout = Timeout;
using MoveOnAfter = Timeout;

// ---- timeouts ----------------------------------------------------------------------------------

TEST_F(Timeout, ends_the_wait_under_way_and_all_that_follow) {
  on_both([] {
    const auto start = steady_clock::now();
    timeout limit{2ms};

    EXPECT_EQ(long_sleep(), errc::timed_out);

    EXPECT_GE(steady_clock::now(), start + 2ms);
    EXPECT_TRUE(limit.expired());
    EXPECT_EQ(long_sleep(), errc::timed_out);
  });
}

// Code that computes may ask it; and then the waits agree.
TEST_F(Timeout, has_expired_when_the_clock_says_so) {
  on_both([] {
    timeout never{24h};
    timeout limit{2ms};
    const auto deadline = limit.deadline();
    while (!limit.expired()) {
    }

    EXPECT_GE(weft::clock::now(), deadline);
    EXPECT_EQ(long_sleep(), errc::timed_out);
    EXPECT_FALSE(never.expired());
  });
}

TEST_F(Timeout, that_was_cancelled_first_never_expires) {
  on_both([] {
    timeout limit{1ms};
    limit.request_cancel();
    const auto later = weft::clock::now() + 2ms;
    while (weft::clock::now() < later) {
    }

    EXPECT_FALSE(limit.expired());
    EXPECT_EQ(long_sleep(), errc::cancelled);
  });
}

using TimeoutDeath = Timeout;

TEST_F(TimeoutDeath, that_another_task_moves_ends_the_process) {
  EXPECT_EXIT(
      {
        enter_death_test();
        run([] {
          timeout limit{24h};
          spawn([&] { limit.expire_after(1h); }).join();
        });
      },
      testing::KilledBySignal(SIGABRT), "moved by another task");
  EXPECT_EXIT(
      {
        enter_death_test();
        run([] {
          timeout limit{24h};
          std::thread{[&] { limit.expire_after(1h); }}.join();
        });
      },
      testing::KilledBySignal(SIGABRT), "moved by another task");
}

TEST_F(Timeout, that_has_passed_already_ends_the_first_wait) {
  on_both([] {
    for (const auto length : {0ms, -1ms}) {
      timeout limit{length};
      EXPECT_EQ(long_sleep(), errc::timed_out);
    }
  });
}

TEST_F(Timeout, the_nearest_deadline_wins_whatever_the_order) {
  on_both([] {
    {
      timeout outer{24h};
      timeout inner{1ms};
      EXPECT_EQ(long_sleep(), errc::timed_out);
      EXPECT_FALSE(outer.expired());
    }
    timeout outer{1ms};
    timeout inner{24h};
    EXPECT_EQ(long_sleep(), errc::timed_out);
    EXPECT_FALSE(inner.expired());
    EXPECT_TRUE(outer.expired());
  });
}

TEST_F(Timeout, may_be_moved_and_taken_away) {
  on_both([] {
    timeout limit{1ms};
    limit.expire_after(24h);
    std::error_code ec;
    sleep_for(5ms, ec);
    EXPECT_EQ(ec, std::error_code{});

    limit.expire_at(steady_clock::time_point::max());
    sleep_for(1ms, ec);
    EXPECT_EQ(ec, std::error_code{});

    limit.expire_after(1ms);
    EXPECT_EQ(long_sleep(), errc::timed_out);
    limit.expire_after(24h);  // too late
    EXPECT_EQ(long_sleep(), errc::timed_out);
  });
}

TEST_F(Timeout, has_one_timer_however_often_it_is_moved) {
  run([] {
    timeout limit{1h};
    timeout other{2h};
    for (int i = 1; i <= 100; ++i) limit.expire_after(std::chrono::minutes{i});
    EXPECT_EQ(weft::testing::current_holdings().scopes, 2u);

    limit.expire_at(steady_clock::time_point::max());
    EXPECT_EQ(weft::testing::current_holdings().scopes, 1u);
  });
}

TEST_F(Timeout, around_a_cancelled_scope_says_that_it_is_the_outer_one) {
  on_both([] {
    timeout outer{0ms};
    cancel_scope inner;
    inner.request_cancel();
    EXPECT_EQ(long_sleep(), errc::timed_out);
  });
}

TEST_F(Timeout, a_wait_with_a_deadline_of_its_own_ends_at_the_nearer) {
  on_both([] {
    timeout limit{24h};
    std::error_code ec;
    sleep_for(1ms, ec);
    EXPECT_EQ(ec, std::error_code{});
    weft::detail::wait_queue queue;
    EXPECT_EQ(weft::detail::wait(queue, steady_clock::now() + 1ms),
              weft::detail::wake_reason::timed_out);
    limit.expire_after(1ms);
    EXPECT_EQ(weft::detail::wait(queue, steady_clock::now() + 24h),
              weft::detail::wake_reason::expired);
    EXPECT_TRUE(queue.empty());
  });
}

TEST_F(Timeout, many_expire_each_in_its_own_fiber) {
  run([] {
    std::vector<weft::fiber<>> fibers;
    int expired = 0;
    for (int i = 0; i < 1'000; ++i) {
      fibers.push_back(spawn([&, i] {
        timeout limit{std::chrono::microseconds(i * 10)};
        if (long_sleep() == errc::timed_out) ++expired;
      }));
    }
    for (auto& each : fibers) each.join();
    EXPECT_EQ(expired, 1'000);
  });
}

TEST_F(Timeout, a_fiber_that_leaves_each_of_1000_expired_scopes_is_not_named) {
  run([this] {
    auto poller = spawn([] {
      for (int i = 0; i < 1'500; ++i) {
        EXPECT_FALSE(weft::move_on_after(0ms, [] { sleep_for(24h); }));
      }
    });
    poller.join();
    EXPECT_TRUE(take_diagnostics().empty());
  });
}

// ---- shields -----------------------------------------------------------------------------------

TEST_F(Shield, keeps_the_cancellation_of_scopes_around_it_off) {
  on_both([] {
    cancel_scope outer;
    outer.request_cancel();
    {
      const shield orderly_end;
      std::error_code ec;
      sleep_for(1ms, ec);
      EXPECT_EQ(ec, std::error_code{});
    }
    EXPECT_EQ(long_sleep(), errc::cancelled);
  });
}

TEST_F(Shield, keeps_the_cancellation_of_the_fiber_off) {
  run([] {
    std::error_code inside = errc::eof;
    std::error_code after;
    auto child = spawn([&] {
      {
        const shield orderly_end;
        yield();
        sleep_for(1ms, inside);
      }
      after = long_sleep();
    });
    yield();
    child.request_cancel();
    child.join();

    EXPECT_EQ(inside, std::error_code{});
    EXPECT_EQ(after, errc::cancelled);
  });
}

TEST_F(Shield, may_be_cancelled_itself_and_lets_scopes_inside_it_be) {
  on_both([] {
    {
      shield orderly_end;
      timeout limit{1ms};
      EXPECT_EQ(long_sleep(), errc::timed_out);
    }
    shield orderly_end;
    orderly_end.request_cancel();
    EXPECT_EQ(long_sleep(), errc::cancelled);
  });
}

// ---- functions ---------------------------------------------------------------------------------

TEST_F(WithTimeout, returns_what_the_function_returns) {
  on_both([] {
    EXPECT_EQ(with_timeout(24h, [] { return 7; }), 7);
    int value = 0;
    int& reference = with_timeout(24h, [&]() -> int& { return value; });
    EXPECT_EQ(&reference, &value);
  });
}

TEST_F(WithTimeout, throws_timed_out_when_it_expires) {
  on_both([] {
    try {
      with_timeout(1ms, [] { sleep_for(24h); });
      ADD_FAILURE() << "nothing was thrown";
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code(), errc::timed_out);
    }
  });
}

TEST_F(MoveOnAfter, returns_what_the_function_returns) {
  on_both([] {
    EXPECT_EQ(move_on_after(24h, [] { return 7; }), std::optional{7});
    EXPECT_TRUE(move_on_after(24h, [] {}));
  });
}

TEST_F(MoveOnAfter, is_empty_when_it_expires) {
  on_both([] {
    const auto sleeps = [] {
      sleep_for(24h);
      return 7;
    };
    EXPECT_EQ(move_on_after(1ms, sleeps), std::nullopt);
    EXPECT_FALSE(move_on_after(1ms, [] { sleep_for(24h); }));
  });
}

TEST_F(MoveOnAfter, passes_on_what_is_not_its_own_expiry) {
  on_both([] {
    EXPECT_THROW(move_on_after(24h, [] { throw std::out_of_range("other"); }), std::out_of_range);
    {
      timeout outer{1ms};
      EXPECT_THROW(move_on_after(24h, [] { sleep_for(24h); }), std::system_error);
    }
    cancel_scope outer;
    outer.request_cancel();
    EXPECT_THROW(move_on_after(24h, [] { sleep_for(24h); }), std::system_error);
  });
}

// Who is cancelled on the way out of it is cancelled, and has not failed.
TEST_F(MoveOnAfter, whose_caller_is_cancelled_after_its_expiry_says_that_it_was_cancelled) {
  on_both([] {
    cancel_scope outer;
    try {
      move_on_after(1ms, [&] {
        EXPECT_EQ(long_sleep(), errc::timed_out);
        outer.request_cancel();
        throw std::system_error(errc::timed_out);
      });
      ADD_FAILURE() << "it moved on";
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code(), errc::cancelled);
    }
  });
}

TEST_F(MoveOnAfter, that_expires_together_with_an_enclosing_scope_gives_way_to_that) {
  on_both([] {
    timeout outer{24h};
    EXPECT_THROW(move_on_after(1ms,
                               [&] {
                                 EXPECT_EQ(long_sleep(), errc::timed_out);
                                 outer.expire_after(0ms);
                                 sleep_for(24h);
                               }),
                 std::system_error);
  });
}

}  // namespace
