// co::block_on(): coroutines as a part of the task that calls it.
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <weft/co.hpp>

#include "support/runtime_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using weft::co::block_on;
using weft::co::task;

class CoBlockOn : public weft::test::runtime_test {};

task<int> after_a_sleep(int value, weft::any_duration length) {
  co_await weft::co::sleep_for(length);
  co_return value;
}

TEST_F(CoBlockOn, on_a_plain_thread_makes_a_runtime) {
  weft::fiber_id inside{};
  auto ask = [&]() -> task<std::unique_ptr<int>> {
    inside = weft::this_fiber::get_id();
    co_await weft::co::sleep_for(1us);
    auto child = weft::co::spawn(after_a_sleep(3, 1us));
    co_await child.co_join();
    co_return std::make_unique<int>(child.result());
  };

  const auto value = block_on(ask());

  EXPECT_EQ(*value, 3);
  EXPECT_NE(inside, weft::fiber_id{});
}

TEST_F(CoBlockOn, on_a_plain_thread_throws_what_the_coroutine_throws) {
  auto fail = []() -> task<int&> {
    co_await weft::co::sleep_for(1us);
    throw std::runtime_error("reason");
  };

  EXPECT_THROW(block_on(fail()), std::runtime_error);
}

TEST_F(CoBlockOn, runs_as_the_task_that_calls_it) {
  weft::testing::virtual_clock time;
  run(
      [] {
        const weft::fiber_id mine = weft::this_fiber::get_id();
        auto ask = [&]() -> task<> {
          EXPECT_EQ(weft::this_fiber::get_id(), mine);
          co_await weft::co::sleep_for(1h);
          EXPECT_EQ(weft::this_fiber::get_id(), mine);
        };

        block_on(ask());
      },
      {.clock = &time});
  EXPECT_GE(time.elapsed(), 1h);
}

TEST_F(CoBlockOn, lets_others_run_while_it_waits) {
  run([] {
    weft::event asked;
    weft::event answered;
    auto other = weft::spawn([&] {
      asked.wait();
      answered.set();
    });
    auto ask = [&]() -> task<> {
      asked.set();
      co_await answered.co_wait();
    };

    block_on(ask());
    other.join();
  });
}

TEST_F(CoBlockOn, in_many_fibers_at_once_gives_each_its_own_result) {
  weft::testing::virtual_clock time;
  run(
      [] {
        std::vector<weft::fiber<int>> fibers;
        for (int i = 0; i < 100; ++i) {
          fibers.push_back(weft::spawn([i] {
            int sum = 0;
            for (int k = 0; k < 5; ++k) sum += block_on(after_a_sleep(i, 1ms * (i % 7)));
            return sum;
          }));
        }
        for (int i = 0; i < 100; ++i) {
          auto& each = fibers[static_cast<std::size_t>(i)];
          each.join();
          EXPECT_EQ(each.result(), 5 * i);
        }
      },
      {.clock = &time});
}

task<int> nest(int levels) {
  co_await weft::co::yield();
  if (levels == 0) co_return 0;
  co_return 1 + block_on(nest(levels - 1));
}

TEST_F(CoBlockOn, nests_in_coroutines_that_it_runs) {
  run([] {
    auto other = weft::co::spawn(nest(10));
    auto another = weft::spawn([] { return block_on(nest(10)); });

    EXPECT_EQ(block_on(nest(10)), 10);

    other.join();
    another.join();
    EXPECT_EQ(other.result() + another.result(), 20);
  });
}

TEST_F(CoBlockOn, ends_when_the_fiber_is_cancelled) {
  run([] {
    std::error_code seen;
    auto waiting = weft::spawn([&] {
      auto ask = [&]() -> task<> { co_await weft::co::sleep_for(24h, seen); };
      block_on(ask());
    });
    weft::testing::all_blocked();

    waiting.request_cancel();
    waiting.join();

    EXPECT_EQ(seen, weft::errc::cancelled);
  });
}

TEST_F(CoBlockOn, is_left_by_a_timeout_around_it) {
  weft::testing::virtual_clock time;
  run(
      [] {
        const auto late = weft::move_on_after(1s, [] { return block_on(after_a_sleep(1, 24h)); });
        const auto in_time =
            weft::move_on_after(1s, [] { return block_on(after_a_sleep(1, 1ms)); });

        EXPECT_FALSE(late);
        EXPECT_EQ(in_time, 1);
      },
      {.clock = &time});
}

TEST_F(CoBlockOn, waits_in_a_shield_although_the_fiber_is_cancelled) {
  weft::testing::virtual_clock time;
  run(
      [] {
        auto child = weft::spawn([] {
          std::error_code ec;
          weft::this_fiber::sleep_for(24h, ec);
          const weft::shield keep;
          return block_on(after_a_sleep(4, 1s));
        });
        weft::this_fiber::yield();

        child.request_cancel();
        child.join();

        EXPECT_EQ(child.result(), 4);
      },
      {.clock = &time});
}

TEST_F(CoBlockOn, inside_a_catch_block_keeps_the_exception) {
  run([] {
    weft::event go;
    auto thrower = weft::co::spawn([&]() -> task<> {
      for (int i = 0; i < 10; ++i) {
        try {
          throw std::out_of_range("another");
        } catch (const std::exception&) {
          weft::this_fiber::yield();
        }
        co_await weft::co::yield();
      }
      go.set();
    });
    auto wait = [&]() -> task<> {
      try {
        co_await go.co_wait();
        throw std::logic_error("inside");
      } catch (const std::logic_error& error) {
        EXPECT_STREQ(error.what(), "inside");
      }
    };

    try {
      throw std::runtime_error("mine");
    } catch (...) {
      block_on(wait());
      try {
        throw;
      } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(), "mine");
      }
    }

    thrower.join();
  });
}

TEST_F(CoBlockOn, in_a_destructor_during_unwinding_runs_its_coroutine) {
  run([] {
    int result = 0;
    struct at_end {
      int& to;
      ~at_end() {
        auto ask = []() -> task<int> {
          try {
            co_await weft::co::yield();
            throw std::logic_error("inside");
          } catch (const std::logic_error&) {
          }
          co_return 6;
        };
        to = block_on(ask());
      }
    };
    auto other = weft::co::spawn([]() -> task<> {
      EXPECT_EQ(std::uncaught_exceptions(), 0);
      co_return;
    });

    EXPECT_THROW(
        {
          const at_end last{result};
          throw std::runtime_error("outside");
        },
        std::runtime_error);

    EXPECT_EQ(result, 6);
    other.join();
  });
}

}  // namespace
