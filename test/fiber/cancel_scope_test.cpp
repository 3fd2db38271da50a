// Cancel scopes: what ends which wait, and with which error.
#include <array>
#include <atomic>
#include <cstddef>
#include <new>
#include <optional>
#include <stop_token>
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
using weft::cancel_scope;
using weft::errc;
using weft::shield;
using weft::spawn;
using weft::timeout;
using weft::test::long_sleep;
using weft::this_fiber::sleep_for;
using weft::this_fiber::yield;

class CancelScope : public weft::test::on_both_test {};

using CancelScopeDeath = CancelScope;

// ---- cancelling --------------------------------------------------------------------------------

TEST_F(CancelScope, ends_the_wait_under_way_and_all_that_follow) {
  run([] {
    std::vector<std::error_code> seen;
    cancel_scope* its_scope = nullptr;
    auto child = spawn([&] {
      cancel_scope scope;
      its_scope = &scope;
      for (int i = 0; i < 3; ++i) seen.push_back(long_sleep());
    });
    yield();

    its_scope->request_cancel();
    child.join();

    EXPECT_EQ(seen, std::vector<std::error_code>(3, errc::cancelled));
  });
}

TEST_F(CancelScope, ends_no_wait_outside_it) {
  on_both([] {
    {
      cancel_scope scope;
      scope.request_cancel();
      EXPECT_EQ(long_sleep(), errc::cancelled);
    }
    std::error_code ec;
    sleep_for(1ms, ec);
    EXPECT_EQ(ec, std::error_code{});
  });
}

TEST_F(CancelScope, cancels_the_scopes_inside_it) {
  on_both([] {
    cancel_scope outer;
    cancel_scope inner;
    EXPECT_FALSE(inner.cancel_requested());

    outer.request_cancel();

    EXPECT_EQ(long_sleep(), errc::cancelled);
    EXPECT_FALSE(inner.cancel_requested());
    EXPECT_TRUE(outer.cancel_requested());
  });
}

TEST_F(CancelScope, that_is_inside_does_not_cancel_those_around_it) {
  on_both([] {
    cancel_scope outer;
    {
      cancel_scope inner;
      inner.request_cancel();
      EXPECT_EQ(long_sleep(), errc::cancelled);
    }
    std::error_code ec;
    sleep_for(1ms, ec);
    EXPECT_EQ(ec, std::error_code{});
  });
}

TEST_F(CancelScope, may_be_cancelled_before_the_first_wait_and_again) {
  on_both([] {
    cancel_scope scope;
    scope.request_cancel();
    scope.request_cancel();
    EXPECT_EQ(long_sleep(), errc::cancelled);
  });
}

TEST_F(CancelScope, entered_by_a_cancelled_fiber_is_cancelled_from_the_start) {
  run([] {
    weft::fiber<> self;
    self = spawn([&] {
      self.request_cancel();
      cancel_scope scope;
      EXPECT_EQ(long_sleep(), errc::cancelled);
    });
    self.join();
  });
}

TEST_F(CancelScope, is_cancelled_from_other_threads_and_workers) {
  run(
      [] {
        for (int round = 0; round < 200; ++round) {
          cancel_scope scope;
          auto canceller = weft::spawn_on(1, [&] { scope.request_cancel(); });
          EXPECT_EQ(long_sleep(), errc::cancelled);
          const shield orderly_end;
          canceller.join();
        }
        for (int round = 0; round < 50; ++round) {
          cancel_scope scope;
          std::thread canceller{[&] { scope.request_cancel(); }};
          EXPECT_EQ(long_sleep(), errc::cancelled);
          canceller.join();
        }
      },
      {.workers = 2});
}

TEST_F(CancelScope, of_a_plain_thread_is_cancelled_by_another) {
  for (int round = 0; round < 200; ++round) {
    std::atomic<cancel_scope*> its_scope = nullptr;
    std::atomic<bool> may_leave = false;
    std::thread sleeper{[&] {
      cancel_scope scope;
      its_scope = &scope;
      EXPECT_EQ(long_sleep(), errc::cancelled);
      while (!may_leave) std::this_thread::yield();
    }};
    while (its_scope == nullptr) std::this_thread::yield();
    its_scope.load()->request_cancel();
    may_leave = true;
    sleeper.join();
  }
}

TEST_F(CancelScope, follows_a_stop_token) {
  on_both([] {
    std::stop_source source;
    cancel_scope scope{source.get_token()};
    std::error_code ec;
    sleep_for(1ms, ec);
    EXPECT_EQ(ec, std::error_code{});

    source.request_stop();
    EXPECT_EQ(long_sleep(), errc::cancelled);
  });
}

TEST_F(CancelScope, follows_a_stop_token_that_was_stopped_before) {
  on_both([] {
    std::stop_source source;
    source.request_stop();
    cancel_scope scope{source.get_token()};
    EXPECT_EQ(long_sleep(), errc::cancelled);
  });
}

TEST_F(CancelScope, ends_a_join_and_the_joined_fiber_runs_on) {
  run([] {
    bool may_end = false;
    auto child = spawn([&] {
      while (!may_end) yield();
    });
    {
      timeout limit{1ms};
      std::error_code ec;
      child.join(ec);
      EXPECT_EQ(ec, errc::timed_out);
    }
    EXPECT_FALSE(child.done());
    may_end = true;
    child.join();
  });
}

TEST_F(CancelScope, may_be_left_as_soon_as_its_task_sees_that_another_thread_cancels_it) {
  std::atomic<cancel_scope*> current = nullptr;
  std::atomic<bool> done = false;
  std::thread other{[&] {
    while (!done) {
      if (cancel_scope* const scope = current.exchange(nullptr)) scope->request_cancel();
      std::this_thread::yield();
    }
  }};
  on_both([&] {
    alignas(cancel_scope) std::array<std::byte, sizeof(cancel_scope)> place;
    for (int round = 0; round < weft::test::stress_operations / 40; ++round) {
      auto* const scope = ::new (place.data()) cancel_scope;
      current = scope;
      while (!scope->cancel_requested()) yield();
      scope->~cancel_scope();
      place.fill(std::byte{0xff});  // whoever still looks at it crashes
    }
  });
  done = true;
  other.join();
}

TEST_F(CancelScopeDeath, left_before_one_inside_it_ends_the_process) {
  EXPECT_EXIT(
      {
        enter_death_test();
        weft::run([] {
          std::optional<cancel_scope> outer{std::in_place};
          const cancel_scope inner;
          outer.reset();
        });
      },
      testing::KilledBySignal(SIGABRT), "before one inside it");
}

TEST_F(CancelScopeDeath, left_by_another_task_ends_the_process) {
  constexpr const char* line = "by another task than the one that had entered it";
  EXPECT_EXIT(
      {
        enter_death_test();
        weft::run([] {
          std::optional<cancel_scope> scope{std::in_place};
          weft::spawn([&] { scope.reset(); }).join();
        });
      },
      testing::KilledBySignal(SIGABRT), line);
  // Of a thread that has ended meanwhile, too.
  EXPECT_EXIT(
      {
        enter_death_test();
        std::optional<cancel_scope> scope;
        std::thread{[&] { scope.emplace(); }}.join();
        scope.reset();
      },
      testing::KilledBySignal(SIGABRT), line);
  EXPECT_EXIT(
      {
        enter_death_test();
        std::optional<cancel_scope> scope{std::in_place};
        weft::run([&] { scope.reset(); });
      },
      testing::KilledBySignal(SIGABRT), line);
}

}  // namespace
