// Cancellation: what request_cancel() ends, that it lasts, and that a fiber which ignores it is
// named and freezes nobody.
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>

#include "support/runtime_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using weft::spawn;
using weft::this_fiber::sleep_for;
using weft::this_fiber::yield;

class Cancel : public weft::test::runtime_test {};

bool is_cancellation(const std::system_error& error) {
  return error.code() == weft::errc::cancelled && error.code() == std::errc::operation_canceled;
}

TEST_F(Cancel, a_fiber_cancelled_before_it_starts_never_runs) {
  run([] {
    bool ran = false;
    auto child = spawn([&] { ran = true; });

    child.request_cancel();
    child.join();

    EXPECT_FALSE(ran);
    try {
      child.result();
      ADD_FAILURE() << "it has a result";
    } catch (const std::system_error& error) {
      EXPECT_TRUE(is_cancellation(error));
    }
  });
}

TEST_F(Cancel, it_ends_a_sleep) {
  run([] {
    std::error_code seen;
    auto child = spawn([&] { sleep_for(24h, seen); });
    yield();

    child.request_cancel();
    child.join();

    EXPECT_EQ(seen, weft::errc::cancelled);
  });
}

TEST_F(Cancel, it_is_thrown_by_the_throwing_sleep) {
  run([] {
    auto child = spawn([&] { sleep_for(24h); });
    yield();

    child.request_cancel();
    child.join();

    try {
      child.result();
      ADD_FAILURE() << "it has a result";
    } catch (const std::system_error& error) {
      EXPECT_TRUE(is_cancellation(error));
    }
  });
}

TEST_F(Cancel, it_ends_a_join) {
  run([] {
    auto target = spawn([] { sleep_for(24h); });
    std::error_code seen;
    auto child = spawn([&] { target.join(seen); });
    yield();
    yield();

    child.request_cancel();
    child.join();

    EXPECT_EQ(seen, weft::errc::cancelled);
    EXPECT_FALSE(target.done());
  });
}

TEST_F(Cancel, asking_twice_is_asking_once) {
  run([] {
    int cancellations = 0;
    auto child = spawn([&] {
      std::error_code ec;
      sleep_for(24h, ec);
      if (ec) ++cancellations;
    });
    yield();

    child.request_cancel();
    child.request_cancel();
    child.join();
    child.request_cancel();

    EXPECT_EQ(cancellations, 1);
  });
}

TEST_F(Cancel, every_later_wait_fails_too) {
  run([] {
    int refused = 0;
    auto target = spawn([] { sleep_for(24h); });
    auto child = spawn([&] {
      for (int i = 0; i < 10; ++i) {
        std::error_code ec;
        sleep_for(24h, ec);
        refused += ec == weft::errc::cancelled ? 1 : 0;
        target.join(ec);
        refused += ec == weft::errc::cancelled ? 1 : 0;
        sleep_for(0s, ec);
        refused += ec == weft::errc::cancelled ? 1 : 0;
      }
    });
    yield();
    yield();

    child.request_cancel();
    child.join();

    EXPECT_EQ(refused, 30);
  });
}

TEST_F(Cancel, it_wins_over_a_deadline_that_has_not_passed_and_not_over_one_that_has) {
  run([] {
    std::error_code seen = weft::errc::eof;
    auto child = spawn([&] { sleep_for(1ms, seen); });
    yield();
    // The timer of the child fires before ours, for it was armed before; both are due by now.
    const auto due = std::chrono::steady_clock::now() + 20ms;
    weft::this_fiber::sleep_until(due);

    child.request_cancel();
    child.join();

    EXPECT_EQ(seen, std::error_code{});
  });
}

TEST_F(Cancel, a_fiber_may_cancel_itself) {
  run([] {
    weft::fiber<> self;
    std::error_code seen;
    bool knew = false;
    self = spawn([&] {
      self.request_cancel();
      knew = weft::this_fiber::cancel_requested();
      sleep_for(24h, seen);
    });

    self.join();

    EXPECT_TRUE(knew);
    EXPECT_EQ(seen, weft::errc::cancelled);
  });
}

TEST_F(Cancel, a_fiber_that_was_asked_to_end_can_see_it) {
  run([] {
    bool before = true;
    bool after = false;
    auto child = spawn([&] {
      before = weft::this_fiber::cancel_requested();
      yield();
      after = weft::this_fiber::cancel_requested();
    });
    yield();

    child.request_cancel();
    child.join();

    EXPECT_FALSE(before);
    EXPECT_TRUE(after);
    EXPECT_FALSE(weft::this_fiber::cancel_requested());
  });
}

TEST_F(Cancel, yield_is_no_cancellation_point) {
  run([] {
    int turns = 0;
    auto child = spawn([&] {
      for (; turns < 100; ++turns) yield();
    });
    yield();

    child.request_cancel();
    child.join();

    EXPECT_EQ(turns, 100);
    EXPECT_NO_THROW(child.result());
  });
}

TEST_F(Cancel, a_cancelled_fiber_may_still_return_a_value) {
  run([] {
    auto child = spawn([] {
      std::error_code ec;
      sleep_for(24h, ec);
      return 5;
    });
    yield();

    child.request_cancel();
    child.join();

    EXPECT_EQ(child.result(), 5);
  });
}

TEST_F(Cancel, the_children_of_a_cancelled_fiber_are_not_cancelled_by_that_alone) {
  run([] {
    weft::fiber<> child;
    std::error_code seen = weft::errc::eof;
    auto parent = spawn([&] {
      child = spawn([&] { sleep_for(2ms, seen); });
      sleep_for(24h);
    });
    yield();
    yield();

    parent.request_cancel();
    parent.join();
    child.join();

    EXPECT_EQ(seen, std::error_code{});
  });
}

TEST_F(Cancel, cancellation_does_not_pass_to_the_next_fiber_in_the_same_control_block) {
  run([] {
    for (int i = 0; i < 100; ++i) {
      auto cancelled = spawn([] { sleep_for(24h); });
      yield();
      cancelled.request_cancel();
      cancelled.join();
      cancelled = {};
      std::error_code seen = weft::errc::eof;
      spawn([&] { sleep_for(1us, seen); }).join();
      EXPECT_EQ(seen, std::error_code{});
    }
  });
}

TEST_F(Cancel, a_fiber_that_ignores_1000_refusals_in_a_row_is_named) {
  run([this] {
    auto child = spawn({.name = "deaf"}, [] {
      std::error_code ignored;
      for (int i = 0; i < 999; ++i) sleep_for(24h, ignored);
      for (int i = 0; i < 2; ++i) sleep_for(24h, ignored);
    });
    yield();

    child.request_cancel();
    child.join();

    const auto lines = take_diagnostics();
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_NE(lines[0].find("\"deaf\""), std::string::npos);
    EXPECT_NE(lines[0].find("1,000"), std::string::npos);
  });
}

TEST_F(Cancel, a_fiber_that_goes_on_for_ever_is_named_once) {
  run([this] {
    auto child = spawn({.name = "deaf"}, [] {
      std::error_code ignored;
      for (int i = 0; i < 10'000; ++i) sleep_for(24h, ignored);
    });
    yield();

    child.request_cancel();
    child.join();

    EXPECT_EQ(take_diagnostics().size(), 1u);
  });
}

TEST_F(Cancel, joining_a_fiber_that_has_ended_fails_too) {
  run([] {
    auto ended = spawn([] {});
    yield();
    std::error_code ec;
    auto child = spawn([&] {
      sleep_for(24h, ec);
      ended.join(ec);
    });
    yield();

    child.request_cancel();
    child.join();

    EXPECT_EQ(ec, weft::errc::cancelled);
  });
}

TEST_F(Cancel, refusals_that_a_fiber_heeds_in_time_are_not_reported) {
  run([] {
    auto child = spawn({.name = "slow to hear"}, [] {
      std::error_code ignored;
      for (int i = 0; i < 1'000; ++i) sleep_for(24h, ignored);  // the first one is woken
    });
    yield();

    child.request_cancel();
    child.join();
  });
}

TEST_F(Cancel, a_fiber_that_ignores_refusals_freezes_nobody) {
  run([this] {
    bool others_slept = false;
    bool heard = false;
    auto deaf = spawn({.name = "deaf"}, [&] {
      std::error_code ignored;
      while (!others_slept) sleep_for(24h, ignored);
      heard = true;
    });
    auto other = spawn([&] {
      for (int i = 0; i < 5; ++i) sleep_for(1ms);
      others_slept = true;
    });
    yield();

    deaf.request_cancel();
    other.join();
    deaf.join();

    EXPECT_TRUE(heard);
    EXPECT_FALSE(take_diagnostics().empty());
  });
}

TEST_F(Cancel, the_destructors_of_a_cancelled_fiber_run) {
  run([] {
    auto kept = std::make_shared<int>(1);
    auto child = spawn([&kept] {
      const auto copy = kept;
      sleep_for(24h);
    });
    yield();
    ASSERT_EQ(kept.use_count(), 2);

    child.request_cancel();
    child.join();

    EXPECT_EQ(kept.use_count(), 1);
  });
}

}  // namespace
