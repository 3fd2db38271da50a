// co::task: when it runs, what it hands to who awaits it, and what becomes of one that nobody does.
#include <concepts>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <weft/co.hpp>

#include "support/runtime_fixture.hpp"

namespace {

using testing::KilledBySignal;
using weft::co::block_on;
using weft::co::task;
using weft::test::under_asan;
using weft::test::under_tsan;

class CoTask : public weft::test::runtime_test {};

using CoTaskDeath = CoTask;

task<int> seven() { co_return 7; }

TEST_F(CoTask, does_not_run_before_it_is_awaited) {
  run([] {
    bool ran = false;
    auto note = [&]() -> task<> {
      ran = true;
      co_return;
    };
    auto kept = note();
    EXPECT_FALSE(ran);

    block_on(std::move(kept));

    EXPECT_TRUE(ran);
  });
}

TEST_F(CoTask, that_never_waits_runs_without_giving_way) {
  run([] {
    bool other_ran = false;
    auto other = weft::spawn([&] { other_ran = true; });
    auto ask = []() -> task<int> { co_return co_await seven() + co_await seven(); };

    const int sum = block_on(ask());

    EXPECT_EQ(sum, 14);
    EXPECT_FALSE(other_ran);
    other.join();
  });
}

TEST_F(CoTask, returns_a_reference_to_the_very_object) {
  run([] {
    int object = 1;
    auto refer = [&]() -> task<int&> {
      co_await weft::co::yield();
      co_return object;
    };
    auto change = [&]() -> task<> { ++co_await refer(); };

    block_on(change());

    EXPECT_EQ(object, 2);
    EXPECT_EQ(&block_on(refer()), &object);
  });
}

TEST_F(CoTask, returns_a_reference_to_const) {
  run([] {
    const std::string object = "text";
    auto refer = [&]() -> task<const std::string&> { co_return object; };

    const std::string& seen = block_on(refer());

    EXPECT_EQ(&seen, &object);
  });
}

TEST_F(CoTask, returns_what_can_only_be_moved) {
  run([] {
    auto make = []() -> task<std::unique_ptr<int>> {
      co_await weft::co::yield();
      co_return std::make_unique<int>(5);
    };
    auto pass_on = [&]() -> task<std::unique_ptr<int>> { co_return co_await make(); };

    const auto value = block_on(pass_on());

    EXPECT_EQ(*value, 5);
  });
}

TEST_F(CoTask, converts_what_its_co_return_gives) {
  run([] {
    auto text = []() -> task<std::string> { co_return "literal"; };

    EXPECT_EQ(block_on(text()), "literal");
  });
}

struct without_default {
  explicit without_default(int number) : value(number) {}

  int value;
};

TEST_F(CoTask, returns_a_type_without_default_constructor) {
  run([] {
    auto make = []() -> task<without_default> { co_return without_default{3}; };

    EXPECT_EQ(block_on(make()).value, 3);
  });
}

task<int> fail_below(int levels, bool suspends) {
  if (levels == 0) {
    if (suspends) co_await weft::co::yield();
    throw std::out_of_range("the bottom");
  }
  co_return co_await fail_below(levels - 1, suspends);
}

TEST_F(CoTask, lets_an_exception_pass_through_all_levels) {
  run([] {
    for (const bool suspends : {false, true}) {
      auto other = weft::spawn([] {});  // or yield() would not suspend
      std::string seen;
      auto ask = [&]() -> task<> {
        try {
          co_await fail_below(3, suspends);
        } catch (const std::out_of_range& error) {
          seen = error.what();
        }
      };

      block_on(ask());

      EXPECT_EQ(seen, "the bottom");
      other.join();
    }
  });
}

TEST_F(CoTask, destroys_its_locals_and_then_its_parameters_before_its_caller_goes_on) {
  run([] {
    std::vector<std::string> log;
    struct noting {
      noting(std::vector<std::string>& to, const char* what) : log(&to), name(what) {}
      noting(noting&& other) noexcept : log(std::exchange(other.log, nullptr)), name(other.name) {}
      noting& operator=(noting&&) = delete;
      ~noting() {
        if (log != nullptr) log->emplace_back(name);
      }

      std::vector<std::string>* log;
      const char* name;
    };
    auto child = [&](noting) -> task<> {
      const noting local{log, "local"};
      co_await weft::co::yield();
    };
    auto parent = [&]() -> task<> {
      co_await child(noting{log, "parameter"});
      log.emplace_back("caller");
    };

    block_on(parent());

    EXPECT_EQ(log, (std::vector<std::string>{"local", "parameter", "caller"}));
  });
}

TEST_F(CoTask, can_be_moved_until_it_is_awaited) {
  run([] {
    auto first = seven();
    auto second = std::move(first);
    auto third = seven();
    block_on(std::move(third));
    third = std::move(second);

    EXPECT_FALSE(first);   // NOLINT(bugprone-use-after-move): that it is empty
    EXPECT_FALSE(second);  // NOLINT(bugprone-use-after-move): the same
    EXPECT_TRUE(third);
    EXPECT_EQ(block_on(std::move(third)), 7);
    EXPECT_FALSE(third);  // NOLINT(bugprone-use-after-move): the same
  });
}

task<> never_awaited_function(std::shared_ptr<int> parameter) {
  ++*parameter;
  co_return;
}

TEST_F(CoTask, that_is_dropped_is_named_and_destroys_its_parameters_without_running) {
  auto parameter = std::make_shared<int>(0);

  { const auto dropped = never_awaited_function(parameter); }

  EXPECT_EQ(*parameter, 0);
  EXPECT_EQ(parameter.use_count(), 1);
  const auto lines = take_diagnostics();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_NE(lines[0].find("never_awaited_function"), std::string::npos) << lines[0];
  EXPECT_NE(lines[0].find("co_task_test.cpp"), std::string::npos) << lines[0];
}

static_assert(std::movable<task<int>> && !std::copyable<task<int>>);

task<int> one() { co_return 1; }

task<int> take(task<int> given) { co_return co_await std::move(given); }

// What never runs because it was cancelled before takes its arguments with it: no word of those.
TEST_F(CoTask, that_goes_with_one_that_was_cancelled_before_it_ran_is_not_reported) {
  run([] {
    auto cancelled = weft::co::spawn(weft::co::when_all(one(), take(one())));
    cancelled.request_cancel();
    cancelled.join();

    auto racing = weft::co::spawn([]() -> task<std::size_t> {
      co_return (co_await weft::co::when_any(one(), take(one()))).index;
    });
    racing.join();
    EXPECT_EQ(racing.result(), 0u);

    weft::task_group group;
    group.spawn([]() -> task<> {
      throw std::out_of_range("first");
      co_return;
    });
    group.spawn(take(one()));
    EXPECT_THROW(group.join(), std::out_of_range);

    EXPECT_THROW(group.spawn_on(9, take(one())), std::system_error);
    EXPECT_THROW(static_cast<void>(weft::co::spawn_on(9, [] { return take(one()); })),
                 std::system_error);
  });
  EXPECT_TRUE(take_diagnostics().empty());

  { const auto dropped = take(one()); }
  EXPECT_EQ(take_diagnostics().size(), 2u) << "it, and its argument";
}

TEST_F(CoTask, that_another_is_assigned_to_is_dropped) {
  run([] {
    auto parameter = std::make_shared<int>(0);
    auto kept = never_awaited_function(parameter);

    kept = never_awaited_function(parameter);

    block_on(std::move(kept));
    EXPECT_EQ(*parameter, 1);
    EXPECT_EQ(parameter.use_count(), 1);
  });
  EXPECT_EQ(take_diagnostics().size(), 1u);
}

TEST_F(CoTaskDeath, awaited_twice_ends_the_process) {
  EXPECT_EXIT(
      {
        enter_death_test();
        weft::run([] {
          auto twice = []() -> task<> {
            auto kept = seven();
            co_await std::move(kept);
            co_await std::move(kept);  // NOLINT(bugprone-use-after-move): the misuse
          };
          block_on(twice());
        });
      },
      KilledBySignal(SIGABRT), "for the second time");
}

TEST_F(CoTaskDeath, spawned_after_it_was_blocked_on_ends_the_process) {
  EXPECT_EXIT(
      {
        enter_death_test();
        weft::run([] {
          auto kept = seven();
          block_on(std::move(kept));
          weft::co::spawn(std::move(kept)).join();  // NOLINT(bugprone-use-after-move): the misuse
        });
      },
      KilledBySignal(SIGABRT), "for the second time");
}

// ---- no stack grows ----------------------------------------------------------------------------

TEST_F(CoTask, awaits_millions_of_tasks_that_never_suspend) {
  constexpr int times = 3'000'000;
  run([] {
    auto loop = []() -> task<long> {
      long sum = 0;
      for (int i = 0; i < times; ++i) sum += co_await seven();
      co_return sum;
    };

    auto looping = weft::co::spawn(loop);
    looping.join();

    EXPECT_EQ(looping.result(), 7L * times);
  });
}

task<int> suspended_seven() {
  co_await weft::co::yield();
  co_return 7;
}

TEST_F(CoTask, awaits_very_many_tasks_that_each_suspend) {
  constexpr int times = under_asan || under_tsan ? 50'000 : 500'000;
  run([] {
    auto loop = []() -> task<long> {
      long sum = 0;
      for (int i = 0; i < times; ++i) sum += co_await suspended_seven();
      co_return sum;
    };

    auto one = weft::co::spawn(loop);
    auto two = weft::co::spawn(loop);
    one.join();
    two.join();

    EXPECT_EQ(one.result() + two.result(), 14L * times);
  });
}

task<int> descend(int levels, weft::event& bottom) {
  if (levels == 0) {
    co_await bottom.co_wait();
    co_return 0;
  }
  co_return 1 + co_await descend(levels - 1, bottom);
}

constexpr int deep = 10'000;

// The way down is made of calls, which need the stack.
constexpr std::size_t deep_stack = std::size_t{32} * 1024 * 1024;

TEST_F(CoTask, comes_back_from_a_deep_chain_that_has_suspended_at_its_bottom) {
  run(
      [] {
        weft::event bottom;
        auto deepest = weft::co::spawn(descend(deep, bottom));
        weft::testing::all_blocked();
        EXPECT_FALSE(deepest.done());

        bottom.set();
        deepest.join();

        EXPECT_EQ(deepest.result(), deep);
      },
      {.stack_size = deep_stack});
}

task<> fall(int levels) {
  if (levels == 0) {
    co_await weft::co::yield();
    throw std::runtime_error("the bottom");
  }
  co_await fall(levels - 1);
}

TEST_F(CoTask, passes_an_exception_up_a_deep_chain_that_has_suspended) {
  run(
      [] {
        auto other = weft::co::spawn(suspended_seven);
        auto falling = weft::co::spawn(fall(deep));
        falling.join();

        EXPECT_THROW(falling.result(), std::runtime_error);
        other.join();
      },
      {.stack_size = deep_stack});
}

// Each level suspends on the way down: what has suspended is no longer on the stack.
task<int> descend_in_steps(int levels) {
  co_await weft::co::yield();
  if (levels == 0) co_return 0;
  co_return 1 + co_await descend_in_steps(levels - 1);
}

TEST_F(CoTask, a_chain_whose_levels_each_suspend_needs_no_deep_stack) {
  run([] {
    auto one = weft::co::spawn(descend_in_steps(deep));
    auto two = weft::co::spawn(descend_in_steps(deep));
    one.join();
    two.join();

    EXPECT_EQ(one.result() + two.result(), 2 * deep);
  });
}

TEST_F(CoTask, a_chain_whose_levels_each_yield_needs_no_deep_stack_where_nobody_else_is_ready) {
  run([] {
    auto alone = weft::co::spawn(descend_in_steps(deep));
    alone.join();

    EXPECT_EQ(alone.result(), deep);
  });
}

}  // namespace
