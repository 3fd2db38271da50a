// Coroutines that return many values, and what a dump says of coroutines.
#include <array>
#include <chrono>
#include <csignal>
#include <memory>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <weft/co.hpp>
#include <weft/fiber/testing.hpp>

#include "on_destruction.hpp"
#include "support/runtime_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using weft::co::async_generator;
using weft::co::block_on;
using weft::co::generator;
using weft::co::task;
using weft::test::on_destruction;

class CoGenerator : public weft::test::runtime_test {};

generator<int> count(int to) {
  for (int i = 0; i < to; ++i) co_yield i;
}

TEST_F(CoGenerator, is_a_range_of_what_it_yields) {
  std::vector<int> values;

  for (const int each : count(4)) values.push_back(each);

  EXPECT_EQ(values, (std::vector{0, 1, 2, 3}));
}

TEST_F(CoGenerator, yields_copies_of_what_must_not_change) {
  const std::vector<std::string> words{"a", "b"};
  const auto make = [](const std::vector<std::string>& from) -> generator<std::string> {
    for (const std::string& each : from) co_yield each;
  };
  std::string got;

  for (std::string& each : make(words)) got += std::exchange(each, "changed");

  EXPECT_EQ(got, "ab");
  EXPECT_EQ(words, (std::vector<std::string>{"a", "b"}));
}

using CoGeneratorDeath = CoGenerator;

TEST_F(CoGeneratorDeath, that_was_moved_from_ends_the_process_when_it_is_asked) {
  EXPECT_EXIT(
      {
        enter_death_test();
        auto values = count(1);
        const auto taken = std::move(values);
        values.begin();  // NOLINT(bugprone-use-after-move): the misuse
      },
      testing::KilledBySignal(SIGABRT), "a generator that was moved from was asked for a value");
  EXPECT_EXIT(
      {
        enter_death_test();
        block_on([]() -> task<> {
          auto values = []() -> async_generator<int> { co_yield 1; }();
          const auto taken = std::move(values);
          co_await values.next();  // NOLINT(bugprone-use-after-move): the misuse
        }());
      },
      testing::KilledBySignal(SIGABRT), "a generator that was moved from was asked for a value");
}

TEST_F(CoGeneratorDeath, that_is_begun_twice_ends_the_process) {
  for (const int most : {0, 1, 3}) {
    EXPECT_EXIT(
        {
          enter_death_test();
          auto values = count(most);
          for ([[maybe_unused]] const int each : values) {
          }
          values.begin();
        },
        testing::KilledBySignal(SIGABRT), "asked for its first value for the second time");
  }
  EXPECT_EXIT(
      {
        enter_death_test();
        auto values = count(2);
        values.begin();
        values.begin();
      },
      testing::KilledBySignal(SIGABRT), "asked for its first value for the second time");
}

TEST_F(CoGenerator, may_yield_nothing) {
  for ([[maybe_unused]] const int each : count(0)) FAIL();
}

TEST_F(CoGenerator, does_not_run_before_it_is_asked) {
  bool ran = false;
  const auto make = [](bool& noted) -> generator<int> {
    noted = true;
    co_yield 1;
  };

  auto values = make(ran);
  EXPECT_FALSE(ran);
  EXPECT_EQ(*values.begin(), 1);

  EXPECT_TRUE(ran);
}

TEST_F(CoGenerator, yields_references_to_what_can_only_be_moved) {
  const auto make = []() -> generator<std::unique_ptr<int>> {
    for (int i = 0; i < 3; ++i) co_yield std::make_unique<int>(i);
  };
  int sum = 0;

  for (std::unique_ptr<int>& each : make()) sum += *std::unique_ptr<int>{std::move(each)};

  EXPECT_EQ(sum, 3);
}

TEST_F(CoGenerator, hands_out_what_it_throws_and_is_at_its_end) {
  const auto make = []() -> generator<int> {
    co_yield 1;
    throw std::runtime_error("no more");
  };
  auto values = make();
  auto place = values.begin();

  EXPECT_THROW(++place, std::runtime_error);

  EXPECT_TRUE(place == values.end());
}

TEST_F(CoGenerator, that_is_dropped_before_its_end_destroys_what_it_holds) {
  bool destroyed = false;
  const auto make = [](bool& noted) -> generator<int> {
    const auto held = on_destruction([&noted] { noted = true; });
    for (int i = 0;; ++i) co_yield i;
  };

  {
    auto values = make(destroyed);
    auto place = values.begin();
    ++place;
    EXPECT_EQ(*place, 1);
    EXPECT_FALSE(destroyed);
  }

  EXPECT_TRUE(destroyed);
}

// ---- those that wait ----------------------------------------------------------------------------

async_generator<std::string> words(int to) {
  for (int i = 0; i < to; ++i) {
    if (i % 2 == 1) co_await weft::co::yield();
    co_yield "word " + std::to_string(i);
  }
}

task<std::vector<std::string>> collect(async_generator<std::string> from) {
  std::vector<std::string> result;
  while (auto each = co_await from.next()) result.push_back(std::move(*each));
  co_return std::move(result);
}

TEST_F(CoGenerator, async_may_wait_between_its_values) {
  run([] {
    auto beside = weft::co::spawn(collect(words(5)));
    auto collected = weft::co::spawn(collect(words(4)));
    beside.join();
    collected.join();

    EXPECT_EQ(collected.result(),
              (std::vector<std::string>{"word 0", "word 1", "word 2", "word 3"}));
    EXPECT_EQ(beside.result().size(), 5u);
  });
}

TEST_F(CoGenerator, async_is_at_its_end_for_good) {
  run([] {
    block_on([]() -> task<> {
      auto values = words(1);
      EXPECT_TRUE(co_await values.next());
      EXPECT_FALSE(co_await values.next());
      EXPECT_FALSE(co_await values.next());
    }());
  });
}

TEST_F(CoGenerator, async_hands_out_what_it_throws_after_a_wait) {
  run([] {
    const auto make = []() -> async_generator<int> {
      co_yield 1;
      co_await weft::co::yield();
      throw std::runtime_error("no more");
    };
    block_on([](async_generator<int> values) -> task<> {
      EXPECT_EQ(co_await values.next(), 1);
      bool thrown = false;
      try {
        co_await values.next();
      } catch (const std::runtime_error&) {
        thrown = true;
      }
      EXPECT_TRUE(thrown);
      EXPECT_FALSE(co_await values.next());
    }(make()));
  });
}

TEST_F(CoGenerator, async_is_cancelled_with_who_asks_for_the_next) {
  run([] {
    std::error_code seen;
    const auto make = [](std::error_code& noted) -> async_generator<int> {
      co_await weft::co::sleep_for(1h, noted);
      co_yield 1;
    };
    auto asking = weft::co::spawn([&]() -> task<> {
      auto values = make(seen);
      EXPECT_EQ(co_await values.next(), 1);
    });
    weft::testing::all_blocked();

    asking.request_cancel();
    asking.join();
    asking.result();

    EXPECT_EQ(seen, weft::errc::cancelled);
  });
}

TEST_F(CoGenerator, async_that_is_dropped_before_its_end_destroys_what_it_holds) {
  run([] {
    bool destroyed = false;
    const auto make = [](bool& noted) -> async_generator<int> {
      const auto held = on_destruction([&noted] { noted = true; });
      for (int i = 0;; ++i) {
        co_await weft::co::yield();
        co_yield i;
      }
    };
    block_on([](async_generator<int> values) -> task<> {
      EXPECT_EQ(co_await values.next(), 0);
      EXPECT_EQ(co_await values.next(), 1);
    }(make(destroyed)));

    EXPECT_TRUE(destroyed);
  });
}

// It is no part of the coroutine that drops it, so its group waits, as in a function.
TEST_F(CoGenerator, async_that_is_dropped_waits_for_its_group) {
  run([] {
    bool ended = false;
    const auto make = [](bool& child_ended) -> async_generator<int> {
      weft::task_group group;
      group.spawn([&child_ended]() -> task<> {
        co_await weft::co::yield();
        child_ended = true;
      });
      co_yield 1;
      co_await group.co_join();
    };
    auto consumer = weft::co::spawn([&]() -> task<> {
      {
        auto values = make(ended);
        EXPECT_EQ(co_await values.next(), 1);
        EXPECT_FALSE(ended);
      }
      EXPECT_TRUE(ended);
    });
    consumer.join();
    consumer.result();
  });
}

TEST_F(CoGenerator, async_needs_no_deeper_stack_for_many_values) {
  run([] {
    const auto make = []() -> async_generator<int> {
      for (int i = 0; i < 100'000; ++i) co_yield i;
    };
    const long sum = block_on([](async_generator<int> values) -> task<long> {
      long result = 0;
      while (auto each = co_await values.next()) result += *each;
      co_return result;
    }(make()));

    EXPECT_EQ(sum, 4'999'950'000);
  });
}

// ---- dumps --------------------------------------------------------------------------------------

task<> wait_for(weft::event& awaited) { co_await awaited.co_wait(); }

task<> wait_inside(weft::event& awaited) { co_await wait_for(awaited); }

TEST_F(CoGenerator, of_a_dump_the_lines_say_where_each_coroutine_awaits_the_innermost_first) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  run([&] {
    weft::event happened;
    auto diver = weft::co::spawn({.name = "diver"}, wait_inside(happened));
    weft::testing::all_blocked();

    weft::dump(ends[1]);

    happened.set();
    diver.join();
  });
  ::close(ends[1]);
  std::array<char, 4096> text{};
  const auto size = ::read(ends[0], text.data(), text.size());
  ::close(ends[0]);

  ASSERT_GT(size, 0);
  const std::string dump{text.data(), static_cast<std::size_t>(size)};
  const auto name = dump.find("\"diver\" (fiber ");
  const auto first = dump.find("    awaits at ", name);
  const auto second = dump.find("    awaits at ", first + 1);
  ASSERT_NE(second, std::string::npos) << dump;
  EXPECT_NE(dump.find("co_generator_test.cpp:", first), std::string::npos) << dump;
  EXPECT_EQ(dump.find("    awaits at ", second + 1), std::string::npos) << dump;
}

}  // namespace
