// weft::spawn and what comes of a fiber: options, both error conventions, results, exceptions.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <numeric>
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

TEST_F(Spawn, the_stack_is_as_large_as_the_options_say) {
  run([] { spawn({.stack_size = 8 * 1024 * 1024}, [] { use_stack(7 * 1024 * 1024); }).join(); });
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

// ---- results -----------------------------------------------------------------------------------

TEST_F(Spawn, the_result_is_what_the_function_returned) {
  run([] {
    auto child = spawn([] { return std::string("result"); });

    child.join();

    EXPECT_EQ(child.result(), "result");
    EXPECT_EQ(child.result(), "result");
  });
}

TEST_F(Spawn, a_result_that_can_only_be_moved_is_moved_out_of_a_handle_that_goes) {
  run([] {
    auto child = spawn([] { return std::make_unique<int>(7); });

    child.join();
    const std::unique_ptr<int> result = std::move(child).result();

    EXPECT_EQ(*result, 7);
  });
}

TEST_F(Spawn, a_result_may_be_a_reference) {
  run([] {
    int value = 1;
    auto child = spawn([&]() -> int& { return value; });

    child.join();

    EXPECT_EQ(&child.result(), &value);
    EXPECT_EQ(&std::move(child).result(), &value);
  });
}

TEST_F(Spawn, a_result_may_be_nothing) {
  run([] {
    auto child = spawn([] {});

    child.join();

    EXPECT_NO_THROW(child.result());
    EXPECT_NO_THROW(std::move(child).result());
  });
}

TEST_F(Spawn, a_result_may_be_over_aligned) {
  struct alignas(128) wide {
    std::array<char, 128> bytes{};
  };

  run([] {
    auto child = spawn([] { return wide{}; });

    child.join();

    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(&child.result()) % 128, 0u);
  });
}

TEST_F(Spawn, a_result_may_be_a_handle) {
  run([] {
    auto outer = spawn([] { return spawn([] { return 9; }); });

    outer.join();
    outer.result().join();

    EXPECT_EQ(outer.result().result(), 9);
  });
}

TEST_F(Spawn, a_result_before_the_end_is_operation_in_progress) {
  run([] {
    auto child = spawn([] { return 1; });

    try {
      static_cast<void>(child.result());
      ADD_FAILURE() << "nothing was thrown";
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code(), std::errc::operation_in_progress);
    }
    child.join();
    EXPECT_EQ(child.result(), 1);
  });
}

TEST_F(Spawn, the_result_of_an_empty_handle_is_invalid_argument) {
  weft::fiber<int> none;

  try {
    static_cast<void>(none.result());
    FAIL() << "nothing was thrown";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::invalid_argument);
  }
}

TEST_F(Spawn, an_exception_is_kept_and_rethrown_by_every_look_at_the_result) {
  run([] {
    auto child = spawn([]() -> int { throw std::out_of_range("thrown by the fiber"); });

    child.join();

    for (int i = 0; i < 2; ++i) {
      try {
        static_cast<void>(child.result());
        ADD_FAILURE() << "nothing was thrown";
      } catch (const std::out_of_range& error) {
        EXPECT_STREQ(error.what(), "thrown by the fiber");
      }
    }
  });
}

// ---- the function ------------------------------------------------------------------------------

TEST_F(Spawn, a_function_may_be_what_can_only_be_moved) {
  run([] {
    auto child = spawn([value = std::make_unique<int>(5)] { return *value; });

    child.join();

    EXPECT_EQ(child.result(), 5);
  });
}

TEST_F(Spawn, a_function_that_is_an_lvalue_is_copied) {
  run([] {
    auto kept = std::make_shared<int>(5);
    const auto function = [kept] { return kept.use_count(); };

    auto child = spawn(function);
    child.join();

    EXPECT_EQ(child.result(), 3);
    EXPECT_EQ(kept.use_count(), 2);
  });
}

int a_plain_function() { return 3; }

TEST_F(Spawn, a_function_may_be_a_plain_one) {
  run([] {
    auto by_pointer = spawn(&a_plain_function);
    auto by_name = spawn(a_plain_function);

    by_pointer.join();
    by_name.join();

    EXPECT_EQ(by_pointer.result() + by_name.result(), 6);
  });
}

TEST_F(Spawn, functions_of_every_size_keep_what_they_captured) {
  const auto spawn_and_sum = []<std::size_t Size>(std::integral_constant<std::size_t, Size>) {
    std::array<unsigned char, Size> captured;
    std::iota(captured.begin(), captured.end(), static_cast<unsigned char>(1));
    auto child = spawn([captured] { return captured; });
    child.join();
    EXPECT_EQ(child.result(), captured);
  };

  run([&] {
    spawn_and_sum(std::integral_constant<std::size_t, 1>{});
    spawn_and_sum(std::integral_constant<std::size_t, 16>{});
    spawn_and_sum(std::integral_constant<std::size_t, 64>{});
    spawn_and_sum(std::integral_constant<std::size_t, 200>{});
    spawn_and_sum(std::integral_constant<std::size_t, 10'000>{});
  });
}

TEST_F(Spawn, an_over_aligned_function_is_aligned) {
  struct alignas(256) aligned_function {
    std::uintptr_t operator()() const { return reinterpret_cast<std::uintptr_t>(this); }
  };

  run([] {
    auto child = spawn(aligned_function{});

    child.join();

    EXPECT_EQ(child.result() % 256, 0u);
  });
}

// Notes on which fiber it was destroyed.
struct destruction_note {
  explicit destruction_note(weft::fiber_id& where) : where_(&where) {}

  destruction_note(destruction_note&& other) noexcept
      : where_(std::exchange(other.where_, nullptr)) {}

  destruction_note& operator=(destruction_note&&) = delete;

  ~destruction_note() {
    if (where_ != nullptr) *where_ = weft::this_fiber::get_id();
  }

private:
  weft::fiber_id* where_;
};

TEST_F(Spawn, the_function_is_destroyed_on_its_fiber) {
  run([] {
    weft::fiber_id where{};
    auto child = spawn([note = destruction_note{where}] {});

    child.join();

    EXPECT_EQ(where, child.get_id());
  });
}

TEST_F(Spawn, the_function_of_a_fiber_that_never_ran_is_destroyed_on_its_fiber) {
  run([] {
    weft::fiber_id where{};
    auto child = spawn([note = destruction_note{where}] {});

    child.request_cancel();
    child.join();

    EXPECT_EQ(where, child.get_id());
  });
}

TEST_F(Spawn, what_a_function_has_captured_may_wait_when_it_is_destroyed) {
  run([] {
    bool waited = false;
    const auto deleter = [&](const int* value) {
      weft::this_fiber::sleep_for(std::chrono::milliseconds(1));
      waited = true;
      delete value;
    };
    auto child = spawn([value = std::unique_ptr<int, decltype(deleter)>(new int(1), deleter)] {});

    child.join();

    EXPECT_TRUE(waited);
  });
}

TEST_F(Spawn, the_result_of_a_detached_fiber_is_destroyed_on_its_fiber_where_it_may_wait) {
  run([] {
    weft::fiber_id where{};
    weft::fiber_id inside{};
    bool inner_ended = false;

    spawn([&] {
      inside = weft::this_fiber::get_id();
      auto inner = spawn([&] {
        std::error_code ec;
        weft::this_fiber::sleep_for(std::chrono::hours(24), ec);
        weft::this_fiber::yield();
        inner_ended = true;
      });
      weft::this_fiber::yield();
      return std::pair(std::move(inner), destruction_note{where});
    }).detach();
    while (!inner_ended) weft::this_fiber::yield();
    weft::this_fiber::yield();

    EXPECT_EQ(where, inside);
  });
}

// A function of any size whose copy throws.
template <std::size_t Size>
struct throws_when_copied {
  throws_when_copied() = default;

  throws_when_copied(const throws_when_copied&) { throw std::runtime_error("copied"); }

  throws_when_copied& operator=(const throws_when_copied&) = delete;
  ~throws_when_copied() = default;

  void operator()() const {}

  std::array<char, Size> ballast{};
};

TEST_F(Spawn, an_exception_in_copying_the_function_reaches_the_spawner_and_leaks_nothing) {
  run([] {
    const throws_when_copied<1> small;
    const throws_when_copied<20'000> large;

    // Often enough for stacks that are lost to be missed: a chunk has 64.
    for (int i = 0; i < 200; ++i) {
      EXPECT_THROW(static_cast<void>(spawn(small)), std::runtime_error);
      EXPECT_THROW(static_cast<void>(spawn(large)), std::runtime_error);
    }

    EXPECT_EQ(weft::test::live_fibers(), 0u);
    const auto& stacks = weft::detail::scheduler::running()->stacks();
    EXPECT_EQ(stacks.mapped_bytes(), 16u * 1024 * 1024) << "one chunk is enough for one stack";
    auto child = spawn([] { return 1; });
    child.join();
    EXPECT_EQ(child.result(), 1);
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
