// How deep a fiber has used its stack: what it reads itself, what dumps tell, and the warning of
// one that comes near the end.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <weft/co.hpp>
#include <weft/fiber.hpp>

#include "scheduler.hpp"
#include "stack_watch.hpp"
#include "support/runtime_fixture.hpp"

namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::Ge;
using testing::Gt;
using testing::HasSubstr;
using testing::Le;
using weft::spawn;
using weft::test::use_stack;
using weft::this_fiber::stack_high_water;
using weft::this_fiber::stack_size;
using weft::this_fiber::yield;

constexpr std::size_t kib = 1024;
// What the calls around a measured one may take, those that are instrumented too.
constexpr std::size_t around = 12 * kib;

// Whether the library was built so that it watches without being told to.
bool watches_anyway() {
  ::unsetenv("WEFT_DEBUG");
  return weft::detail::stacks_are_to_be_watched();
}

class StackWatch : public weft::test::runtime_test {
protected:
  StackWatch() { ::setenv("WEFT_DEBUG", "other,stacks", 1); }

  ~StackWatch() override { ::unsetenv("WEFT_DEBUG"); }
};

// use_stack() writes to each kilobyte.
auto is_about(std::size_t bytes) {
  return AllOf(Gt(0u), Ge(bytes - std::min(bytes, kib)), Le(bytes + around));
}

TEST_F(StackWatch, a_fiber_reads_how_deep_it_has_been) {
  run([] {
    spawn([] {
      EXPECT_THAT(stack_high_water(), is_about(0));
      use_stack(40 * kib);
      EXPECT_THAT(stack_high_water(), is_about(40 * kib));
      use_stack(100 * kib);
      use_stack(20 * kib);
      yield();
      EXPECT_THAT(stack_high_water(), is_about(100 * kib));
    }).join();
  });
}

TEST_F(StackWatch, what_a_fiber_before_has_used_of_the_stack_does_not_count) {
  run([] {
    const std::byte* first = nullptr;
    const auto remember_and_use = [&] {
      first = weft::detail::scheduler::running()->stack_in_use().begin;
      use_stack(150 * kib);
    };
    std::size_t used_by_next = 0;
    const std::byte* second = nullptr;
    const auto measure = [&] {
      second = weft::detail::scheduler::running()->stack_in_use().begin;
      use_stack(10 * kib);
      used_by_next = stack_high_water();
    };

    auto one = spawn(remember_and_use);
    auto next = spawn(measure);  // takes the stack over as the first one ends
    next.join();
    EXPECT_EQ(first, second);
    EXPECT_THAT(used_by_next, is_about(10 * kib));

    one = spawn(remember_and_use);
    one.join();
    spawn(measure).join();  // is given it by the pool
    EXPECT_EQ(first, second);
    EXPECT_THAT(used_by_next, is_about(10 * kib));
  });
}

TEST_F(StackWatch, what_coroutines_have_used_of_the_stack_does_not_count) {
  run([] {
    const auto task = []() -> weft::co::task<> {
      use_stack(150 * kib);
      EXPECT_EQ(stack_high_water(), 0u);
      co_return;
    };
    auto deep = weft::co::spawn(task);
    auto next = spawn([] { EXPECT_THAT(stack_high_water(), is_about(0)); });
    deep.join();
    next.join();
  });
}

TEST_F(StackWatch, a_buffer_of_zeros_counts_where_the_memory_was_used_before) {
  run([] {
    spawn([] { use_stack(150 * kib); }).join();
    spawn([] {
      constexpr std::size_t size = 60 * kib;
      const auto clear = [] {
        volatile char buffer[size];
        for (auto& each : buffer) each = 0;
      };
      clear();
      EXPECT_THAT(stack_high_water(), is_about(size));
    }).join();
  });
}

TEST_F(StackWatch, the_main_fiber_has_the_stack_of_its_thread_which_is_not_watched) {
  run([] {
    EXPECT_GE(stack_size(), 256 * kib);
    EXPECT_EQ(stack_high_water(), 0u);
  });
}

TEST_F(StackWatch, there_is_no_stack_of_a_fiber_on_a_plain_thread) {
  EXPECT_EQ(stack_size(), 0u);
  EXPECT_EQ(stack_high_water(), 0u);
}

TEST_F(StackWatch, a_fiber_knows_the_size_of_its_stack) {
  const std::size_t enlarged = std::size_t{1} << weft::detail::stack_enlargement_log2;
  run([&] {
    spawn({.stack_size = 60 * kib}, [&] { EXPECT_EQ(stack_size(), 64 * kib * enlarged); }).join();
  });
}

TEST_F(StackWatch, dumps_tell_it_of_the_fibers_of_the_calling_thread) {
  run([] {
    auto parked = spawn({.name = "deep one"}, [] {
      use_stack(100 * kib);
      weft::this_fiber::sleep_for(std::chrono::hours{24});
    });
    yield();
    std::FILE* const file = std::tmpfile();
    weft::dump(file);
    std::string text(static_cast<std::size_t>(std::ftell(file)), '\0');
    std::rewind(file);
    EXPECT_EQ(std::fread(text.data(), 1, text.size(), file), text.size());
    std::fclose(file);

    EXPECT_THAT(
        text,
        ContainsRegex("\"deep one\" [^\n]*; has used (99|1[01][0-9]) of [0-9]+ KiB of stack\n"));
  });
}

TEST_F(StackWatch, is_off_in_optimised_builds_unless_asked_for) {
  if (watches_anyway()) GTEST_SKIP() << "this is a debug build";
  run([] {
    spawn([] {
      use_stack(240 * kib);
      EXPECT_EQ(stack_high_water(), 0u);
    }).join();
  });
}

// ---- warnings ----------------------------------------------------------------------------------

TEST_F(StackWatch, a_fiber_that_has_come_near_the_end_is_named_once_for_each_place) {
  run([] {
    const std::size_t size = 256 * kib;
    const auto dig = [] { use_stack(stack_size() * 85 / 100); };
    for (int i = 0; i < 3; ++i) spawn({.name = "digger", .stack_size = size}, dig).join();
    spawn({.name = "another", .stack_size = size}, dig).join();
  });

  const std::vector<std::string> lines = take_diagnostics();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_THAT(lines[0],
              ContainsRegex("^fiber \"digger\" \\(fiber [0-9]+\\) has used [0-9]+ KiB of "
                            "its stack of [0-9]+ KiB; raise spawn_options::stack_size of "
                            "those that are spawned at .*stack_watch_test\\.cpp:[0-9]+$"));
  EXPECT_THAT(lines[1], HasSubstr("\"another\""));
}

TEST_F(StackWatch, a_fiber_that_has_room_left_is_not_named) {
  run([] { spawn([] { use_stack(stack_size() * 70 / 100); }).join(); });

  EXPECT_EQ(take_diagnostics().size(), 0u);
}

TEST_F(StackWatch, a_fiber_that_ends_by_an_exception_is_named_too) {
  run([] {
    auto failing = spawn({.name = "thrower"}, [] {
      use_stack(stack_size() * 85 / 100);
      throw 7;
    });
    failing.join();
    EXPECT_TRUE(failing.exception() != nullptr);
  });

  const std::vector<std::string> lines = take_diagnostics();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_THAT(lines[0], HasSubstr("\"thrower\""));
}

}  // namespace
