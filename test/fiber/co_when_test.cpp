// Several tasks awaited at once: all of them, or the first.
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <tuple>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include <weft/co.hpp>
#include <weft/fiber/testing.hpp>
#include <weft/fiber/unhandled_error.hpp>

#include "support/runtime_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using weft::co::block_on;
using weft::co::task;
using weft::co::when_all;
using weft::co::when_any;

// Its time is virtual: what sleeps an hour has not slept if a test ends.
class CoWhen : public weft::test::runtime_test {
protected:
  template <class T>
  T await(task<T> awaited) {
    weft::testing::virtual_clock time;
    return run([&] { return block_on(std::move(awaited)); }, {.clock = &time});
  }
};

task<int> number_after(std::chrono::nanoseconds length, int value) {
  co_await weft::co::sleep_for(length);
  co_return value;
}

task<> nothing_after(std::chrono::nanoseconds length) { co_await weft::co::sleep_for(length); }

task<int> failure_after(std::chrono::nanoseconds length) {
  co_await weft::co::sleep_for(length);
  throw std::runtime_error("failed");
}

// Notes how it ended: by the cancellation of its wait.
task<int> note_cancellation(bool& cancelled) {
  std::error_code ec;
  co_await weft::co::sleep_for(1h, ec);
  cancelled = ec == weft::errc::cancelled;
  co_return 0;
}

// ---- all ----------------------------------------------------------------------------------------

TEST_F(CoWhen, all_returns_the_results_in_the_order_of_the_tasks) {
  await([]() -> task<> {
    auto [first, second, third] = co_await when_all(
        number_after(3ms, 1), nothing_after(1ms),
        [](std::string text) -> task<std::string> { co_return text + "!"; }("two"));

    EXPECT_EQ(first, 1);
    static_assert(std::is_same_v<decltype(second), std::monostate>);
    EXPECT_EQ(third, "two!");
  }());
}

TEST_F(CoWhen, all_takes_as_long_as_the_longest) {
  await([]() -> task<> {
    const auto start = weft::clock::now();

    co_await when_all(nothing_after(30ms), nothing_after(50ms), nothing_after(40ms));

    EXPECT_EQ(weft::clock::now() - start, 50ms);
  }());
}

TEST_F(CoWhen, all_of_many_returns_as_many_results) {
  const std::vector<int> results = await([]() -> task<std::vector<int>> {
    std::vector<task<int>> tasks;
    for (int i = 0; i < 100; ++i) tasks.push_back(number_after(1ms * (100 - i), i));
    co_return co_await when_all(std::move(tasks));
  }());

  ASSERT_EQ(results.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(results[static_cast<std::size_t>(i)], i);
}

TEST_F(CoWhen, all_of_none_is_done_at_once) {
  EXPECT_TRUE(await(when_all(std::vector<task<int>>{})).empty());
  EXPECT_EQ(await(when_all()), std::tuple<>{});
}

TEST_F(CoWhen, all_moves_results_that_cannot_be_copied) {
  await([]() -> task<> {
    auto [result] = co_await when_all(
        []() -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(4); }());

    EXPECT_EQ(*result, 4);
  }());
}

TEST_F(CoWhen, all_throws_the_first_failure_once_the_others_were_cancelled_and_have_ended) {
  bool cancelled = false;

  EXPECT_THROW(await(when_all(note_cancellation(cancelled), failure_after(1ms))),
               std::runtime_error);

  EXPECT_TRUE(cancelled);
}

TEST_F(CoWhen, all_of_a_cancelled_caller_ends_by_the_cancellation) {
  bool cancelled = false;
  run([&] {
    auto waiting = weft::co::spawn([&]() -> task<> {
      co_await when_all(note_cancellation(cancelled), note_cancellation(cancelled));
    });
    weft::testing::all_blocked();

    waiting.request_cancel();
    waiting.join();

    EXPECT_EQ(waiting.state(), weft::fiber_state::cancelled);
    EXPECT_TRUE(waiting.exception());
  });

  EXPECT_TRUE(cancelled);
}

// ---- the first ----------------------------------------------------------------------------------

TEST_F(CoWhen, any_returns_which_was_the_first_and_its_result) {
  await([]() -> task<> {
    const auto first =
        co_await when_any(nothing_after(1h), number_after(2ms, 7), number_after(3ms, 8));

    EXPECT_EQ(first.index, 1u);
    EXPECT_EQ(std::get<1>(first.value), 7);
  }());
}

TEST_F(CoWhen, any_has_cancelled_the_others_and_they_have_ended_when_it_returns) {
  bool cancelled = false;

  const auto first = await(when_any(note_cancellation(cancelled), number_after(1ms, 5)));

  EXPECT_EQ(first.index, 1u);
  EXPECT_TRUE(cancelled);
}

TEST_F(CoWhen, any_of_many_returns_which_was_the_first) {
  const auto first = await([]() -> task<weft::co::first_result<int>> {
    std::vector<task<int>> tasks;
    for (int i = 0; i < 10; ++i) tasks.push_back(number_after(1ms * (10 - i), 100 + i));
    co_return co_await when_any(std::move(tasks));
  }());

  EXPECT_EQ(first.index, 9u);
  EXPECT_EQ(first.value, 109);
}

TEST_F(CoWhen, any_of_none_is_an_error) {
  EXPECT_THROW(await(when_any(std::vector<task<int>>{})), std::invalid_argument);
}

TEST_F(CoWhen, any_throws_what_the_first_to_end_has_thrown) {
  bool cancelled = false;

  EXPECT_THROW(await(when_any(note_cancellation(cancelled), failure_after(1ms))),
               std::runtime_error);

  EXPECT_TRUE(cancelled);
}

TEST_F(CoWhen, any_takes_the_first_in_order_of_those_that_need_not_wait) {
  const auto first = await(when_any(number_after(-1s, 1), number_after(-1s, 2)));

  EXPECT_EQ(first.index, 0u);
}

TEST_F(CoWhen, any_of_a_cancelled_caller_cancels_all_and_says_so) {
  bool one = false;
  bool other = false;
  run([&] {
    auto waiting = weft::co::spawn(
        [&]() -> task<> { co_await when_any(note_cancellation(one), note_cancellation(other)); });
    weft::testing::all_blocked();

    waiting.request_cancel();
    waiting.join();

    EXPECT_EQ(waiting.state(), weft::fiber_state::cancelled);
    EXPECT_TRUE(waiting.exception());
  });

  EXPECT_TRUE(one);
  EXPECT_TRUE(other);
}

TEST_F(CoWhen, any_in_a_timeout_ends_with_it) {
  await([]() -> task<> {
    const weft::timeout limit{5ms};
    std::error_code ec;
    try {
      co_await when_any(nothing_after(1h), nothing_after(2h));
    } catch (const std::system_error& error) {
      ec = error.code();
    }

    EXPECT_EQ(ec, weft::errc::timed_out);
  }());
}

// Its moves throw once so many have been made.
class fragile {
public:
  explicit fragile(int& moves_left) : moves_left_(&moves_left) {}

  fragile(fragile&& other) : moves_left_(other.moves_left_) {
    if ((*moves_left_)-- == 0) throw std::domain_error("moved");
  }

private:
  int* moves_left_;
};

task<fragile> make_fragile(int& moves_left) { co_return fragile{moves_left}; }

template <class Race>
void fail_in_each_move(const Race& race) {
  int failures = 0;
  for (bool failed = true; failed; failures += failed ? 1 : 0) {
    int moves_left = failures;
    failed = false;
    try {
      race(moves_left);
    } catch (const std::domain_error&) {
      failed = true;
    }
  }
  EXPECT_GT(failures, 3);
}

TEST_F(CoWhen, any_throws_what_the_move_of_a_result_has_thrown) {
  fail_in_each_move([this](int& moves_left) {
    bool cancelled = false;
    await([](int& moves, bool& other) -> task<> {
      auto first = co_await when_any(note_cancellation(other), make_fragile(moves));
      EXPECT_EQ(first.index, 1u);
    }(moves_left, cancelled));
    EXPECT_TRUE(cancelled);
  });
}

TEST_F(CoWhen, any_of_many_throws_what_the_move_of_a_result_has_thrown) {
  fail_in_each_move([this](int& moves_left) {
    await([](int& moves) -> task<> {
      std::vector<task<fragile>> tasks;
      tasks.push_back(make_fragile(moves));
      co_await when_any(std::move(tasks));
    }(moves_left));
  });
}

// ---- tasks that never start ---------------------------------------------------------------------

template <class T>
task<> note_error(task<T> awaited, std::error_code& ec) {
  try {
    co_await std::move(awaited);
  } catch (const std::system_error& error) {
    ec = error.code();
  }
}

// What the task ends with if it is awaited once the runtime ends, by who shields itself.
template <class Make>
std::error_code error_at_the_end_of_the_runtime(const Make& make) {
  std::error_code seen;
  weft::run([&] {
    weft::co::spawn([&]() -> task<> {
      std::error_code ec;
      co_await weft::co::sleep_for(24h, ec);
      const weft::shield shielded;
      co_await note_error(make(), seen);
    }).detach();
    weft::testing::all_blocked();
  });
  return seen;
}

TEST_F(CoWhen, all_of_tasks_that_are_cancelled_before_they_start_says_so) {
  EXPECT_EQ(error_at_the_end_of_the_runtime(
                [] { return when_all(number_after(24h, 1), nothing_after(24h)); }),
            weft::errc::cancelled);
}

TEST_F(CoWhen, any_of_tasks_that_are_cancelled_before_they_start_says_so) {
  EXPECT_EQ(error_at_the_end_of_the_runtime(
                [] { return when_any(number_after(24h, 1), nothing_after(24h)); }),
            weft::errc::cancelled);
}

TEST_F(CoWhen, any_of_many_that_are_cancelled_before_they_start_says_so) {
  EXPECT_EQ(error_at_the_end_of_the_runtime([] {
              std::vector<task<int>> tasks;
              for (int i = 0; i < 3; ++i) tasks.push_back(number_after(24h, i));
              return when_any(std::move(tasks));
            }),
            weft::errc::cancelled);
}

// The fixture fails the test for any line that it has not looked at.
TEST_F(CoWhen, any_of_a_caller_that_was_cancelled_before_says_so_and_nothing_else) {
  std::error_code seen;
  await([](std::error_code& ec) -> task<> {
    weft::cancel_scope scope;
    scope.request_cancel();
    co_await note_error(when_any(number_after(24h, 1), number_after(24h, 2)), ec);
  }(seen));

  EXPECT_EQ(seen, weft::errc::cancelled);
  EXPECT_TRUE(take_diagnostics().empty());
}

TEST_F(CoWhen, all_of_several_that_fail_report_none_as_unhandled) {
  bool reported = false;
  weft::set_unhandled_error_handler([&](const weft::unhandled_error&) { reported = true; });
  const auto failing = []() -> task<> {
    std::error_code ec;
    co_await weft::co::sleep_for(1h, ec);
    throw std::runtime_error("fails");
  };

  EXPECT_THROW(await(when_all(failing(), failing())), std::runtime_error);
  std::vector<task<>> several;
  for (int i = 0; i < 3; ++i) several.push_back(failing());
  EXPECT_THROW(await(when_all(std::move(several))), std::runtime_error);

  weft::set_unhandled_error_handler({});
  EXPECT_FALSE(reported);
}

}  // namespace
