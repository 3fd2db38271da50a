// Coroutines with a deadline.
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>

#include <gtest/gtest.h>

#include <weft/co.hpp>

#include "support/runtime_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using weft::co::block_on;
using weft::co::move_on_after;
using weft::co::task;
using weft::co::with_timeout;

class CoTimeout : public weft::test::runtime_test {};

task<std::string> after(std::chrono::milliseconds pause) {
  co_await weft::co::sleep_for(pause);
  co_return "answer";
}

// What `waiting` throws, none if nothing.
template <class T>
std::error_code error_of(task<T> waiting) {
  try {
    block_on(std::move(waiting));
  } catch (const std::system_error& error) {
    return error.code();
  }
  return {};
}

TEST_F(CoTimeout, returns_what_came_in_time) {
  run([] {
    EXPECT_EQ(block_on(with_timeout(24h, [] { return after(0ms); })), "answer");
    EXPECT_EQ(block_on(move_on_after(24h, [] { return after(0ms); })), "answer");
    EXPECT_TRUE(block_on(move_on_after(24h, []() -> task<> { co_return; })));
  });
}

TEST_F(CoTimeout, ends_the_wait_that_meets_it) {
  run([] {
    const auto never = [] { return after(24h); };
    EXPECT_EQ(error_of(with_timeout(1ms, never)), weft::errc::timed_out);
    EXPECT_EQ(block_on(move_on_after(1ms, never)), std::nullopt);
    EXPECT_FALSE(
        block_on(move_on_after(1ms, []() -> task<> { co_await weft::co::sleep_for(24h); })));
  });
}

TEST_F(CoTimeout, of_the_scope_around_it_is_no_reason_to_move_on) {
  run([] {
    const auto inner = [] { return move_on_after(24h, [] { return after(24h); }); };
    EXPECT_EQ(error_of(with_timeout(1ms, inner)), weft::errc::timed_out);
  });
}

TEST_F(CoTimeout, that_passes_together_with_that_of_the_scope_around_it_is_none_of_its_own) {
  run([] {
    weft::timeout outer{24h};
    const auto both = [&outer]() -> task<> {
      std::error_code ec;
      co_await weft::co::sleep_for(24h, ec);
      EXPECT_EQ(ec, weft::errc::timed_out);
      outer.expire_after(0ms);
      co_await weft::co::sleep_for(24h);
    };
    EXPECT_THROW(block_on(move_on_after(1ms, both)), std::system_error);
  });
}

TEST_F(CoTimeout, around_a_cancelled_scope_is_no_reason_to_move_on) {
  run([] {
    weft::cancel_scope outer;
    outer.request_cancel();
    EXPECT_EQ(error_of(move_on_after(24h, [] { return after(24h); })), weft::errc::cancelled);
  });
}

TEST_F(CoTimeout, lets_every_other_error_through) {
  run([] {
    const auto failing = []() -> task<int> {
      co_await weft::co::yield();
      throw std::out_of_range("error");
    };
    EXPECT_THROW(block_on(with_timeout(24h, failing)), std::out_of_range);
    EXPECT_THROW(block_on(move_on_after(24h, failing)), std::out_of_range);
  });
}

TEST_F(CoTimeout, whose_caller_is_cancelled_after_its_expiry_says_that_it_was_cancelled) {
  block_on([]() -> task<> {
    weft::cancel_scope outer;
    const auto cancelled_late = [&]() -> task<> {
      std::error_code ec;
      co_await weft::co::sleep_for(24h, ec);
      EXPECT_EQ(ec, weft::errc::timed_out);
      outer.request_cancel();
      throw std::system_error(weft::errc::timed_out);
    };
    std::error_code seen;
    try {
      co_await move_on_after(1ms, cancelled_late);
    } catch (const std::system_error& error) {
      seen = error.code();
    }
    EXPECT_EQ(seen, weft::errc::cancelled);
  }());
}

}  // namespace
