// weft::spawn: when the fiber runs, its options, both error conventions.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <source_location>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>

#include "scheduler.hpp"
#include "support/runtime_fixture.hpp"

namespace {

using weft::spawn;
using weft::spawn_options;
using weft::test::use_stack;

// What cannot run on a fiber is refused by the declaration, not deep within it.
template <class... Arguments>
concept spawnable =
    requires(Arguments... arguments) { spawn(std::forward<Arguments>(arguments)...); };

static_assert(spawnable<int (*)()>);
static_assert(spawnable<spawn_options, int (*)()>);
static_assert(!spawnable<int>);
static_assert(!spawnable<void (*)(int)>);
static_assert(!spawnable<void (*)(int), int>);

class Spawn : public weft::test::runtime_test {};

TEST_F(Spawn, a_fiber_runs_once_the_spawner_parks_and_not_before) {
  run([] {
    bool ran = false;

    auto child = spawn([&] { ran = true; });

    EXPECT_FALSE(ran);
    weft::this_fiber::yield();
    EXPECT_TRUE(ran);
    EXPECT_TRUE(child.done());
  });
}

TEST_F(Spawn, the_name_is_what_the_options_say) {
  run([] {
    std::string seen_inside;

    auto child = spawn({.name = "reader"}, [&] { seen_inside = weft::this_fiber::name(); });
    child.join();

    EXPECT_EQ(seen_inside, "reader");
    EXPECT_EQ(child.name(), "reader");
  });
}

TEST_F(Spawn, a_fiber_without_a_name_is_called_by_its_id) {
  run([] {
    auto child = spawn([] {});
    const auto id = static_cast<std::uint64_t>(child.get_id());

    EXPECT_EQ(child.name(), "fiber " + std::to_string(id));
    child.join();
  });
}

TEST_F(Spawn, the_name_of_a_former_fiber_does_not_stick_to_the_next) {
  run([] {
    spawn({.name = "former"}, [] {}).join();

    auto next = spawn([] {});

    EXPECT_EQ(next.name().substr(0, 6), "fiber ");
    next.join();
  });
}

TEST_F(Spawn, a_long_name_is_kept_whole) {
  const std::string name(10'000, 'n');
  run([&] {
    auto child = spawn({.name = name}, [] {});

    EXPECT_EQ(child.name(), name);
    child.join();
  });
}

TEST_F(Spawn, the_location_is_that_of_the_call) {
  run([] {
    std::vector<std::source_location> seen;
    const auto note = [&] {
      seen.push_back(weft::detail::scheduler::running()->current().location);
    };

    const auto here = std::source_location::current();
    spawn(note).join();
    spawn({.name = "named"}, note).join();

    ASSERT_EQ(seen.size(), 2u);
    EXPECT_EQ(seen[0].line(), here.line() + 1);
    EXPECT_EQ(seen[1].line(), here.line() + 2);
    EXPECT_STREQ(seen[0].file_name(), here.file_name());
  });
}

// ThreadSanitizer keeps the calls that a stack is in: none may be left over from the fibers before,
// or it dies of the 65,536th.
TEST_F(Spawn, a_stack_may_be_used_by_very_many_fibers_one_after_the_other) {
  run([] {
    int sum = 0;
    for (int i = 0; i < 70'000; ++i) {
      spawn([&] {
        const auto value = std::make_unique<int>(1);
        weft::this_fiber::yield();
        sum += *value;
      }).join();
    }
    EXPECT_EQ(sum, 70'000);
  });
}

TEST_F(Spawn, the_stack_is_as_large_as_the_options_say) {
  run([] { spawn({.stack_size = 8 * 1024 * 1024}, [] { use_stack(6 * 1024 * 1024); }).join(); });
}

TEST_F(Spawn, the_stack_is_as_large_as_the_runtime_says_if_the_options_say_nothing) {
  run([] { spawn([] { use_stack(3 * 1024 * 1024); }).join(); }, {.stack_size = 4 * 1024 * 1024});
}

TEST_F(Spawn, the_smallest_stack_suffices_to_throw_and_to_sleep) {
  run(
      [] {
        auto child = spawn({.stack_size = 1}, [] {
          try {
            throw std::runtime_error("on a small stack");
          } catch (const std::runtime_error&) {
            weft::this_fiber::sleep_for(std::chrono::milliseconds(1));
            throw;
          }
        });
        child.join();
        EXPECT_THROW(child.result(), std::runtime_error);
      },
      {.stack_size = 1});
}

TEST_F(Spawn, a_stack_over_1_GiB_is_an_error_in_both_conventions) {
  run([] {
    const spawn_options options{.stack_size = (std::size_t{1} << 30) + 1};
    bool ran = false;
    std::error_code ec;

    auto child = spawn(
        options, [&] { ran = true; }, ec);

    EXPECT_EQ(ec, std::errc::invalid_argument);
    EXPECT_FALSE(child.joinable());
    try {
      spawn(options, [&] { ran = true; }).join();
      ADD_FAILURE() << "nothing was thrown";
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code(), std::errc::invalid_argument);
      EXPECT_NE(std::string(error.what()).find("1 GiB"), std::string::npos);
    }
    weft::this_fiber::yield();
    EXPECT_FALSE(ran);
  });
}

TEST_F(Spawn, no_memory_for_what_the_function_has_captured_is_an_error) {
  if (weft::test::under_asan || weft::test::under_tsan)
    GTEST_SKIP() << "the sanitizers end the process";
  run([] {
    // A function of 64 TB.
    struct huge {
      huge(const huge& /*other*/) {}

      void operator()() const {}

      std::array<std::byte, std::size_t{1} << 46> bytes;
    };

    std::error_code ec;
    const auto* const function = reinterpret_cast<const huge*>(16);  // never looked at

    auto child = spawn({}, *function, ec);

    EXPECT_EQ(ec, std::errc::not_enough_memory);
    EXPECT_FALSE(child.joinable());
  });
}

TEST_F(Spawn, a_successful_spawn_clears_the_error_code) {
  run([] {
    auto ec = std::make_error_code(std::errc::io_error);

    auto child = spawn(
        {}, [] {}, ec);

    EXPECT_EQ(ec, std::error_code{});
    child.join();
  });
}

TEST_F(Spawn, ids_differ_from_each_other_and_from_no_fiber) {
  run([] {
    auto first = spawn([] {});
    auto second = spawn([] {});

    EXPECT_NE(first.get_id(), weft::fiber_id{});
    EXPECT_NE(first.get_id(), second.get_id());
    EXPECT_NE(first.get_id(), weft::this_fiber::get_id());
    first.join();
    second.join();
  });
}

TEST_F(Spawn, a_fiber_has_the_id_of_its_handle) {
  run([] {
    weft::fiber_id inside{};
    auto child = spawn([&] { inside = weft::this_fiber::get_id(); });

    child.join();

    EXPECT_EQ(inside, child.get_id());
  });
}

TEST_F(Spawn, many_fibers_run_in_the_order_in_which_they_were_spawned) {
  run([] {
    std::vector<int> order;
    std::vector<weft::fiber<>> children;

    for (int i = 0; i < 1'000; ++i) children.push_back(spawn([&order, i] { order.push_back(i); }));
    for (auto& child : children) child.join();

    ASSERT_EQ(order.size(), 1'000u);
    EXPECT_TRUE(std::ranges::is_sorted(order));
  });
}

TEST_F(Spawn, fibers_may_spawn_fibers_to_any_depth) {
  run([] {
    struct nest {
      static int go(int depth) {
        if (depth == 0) return 0;
        auto child = spawn([depth] { return go(depth - 1); });
        child.join();
        return child.result() + 1;
      }
    };

    EXPECT_EQ(nest::go(200), 200);
  });
}

}  // namespace
