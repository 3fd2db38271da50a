// The function of a fiber: what it may be, how it is kept, where it is destroyed.
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <type_traits>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>

#include "copied_functions.hpp"
#include "on_destruction.hpp"
#include "scheduler.hpp"
#include "support/runtime_fixture.hpp"

namespace {

using weft::spawn;
using weft::test::note_of_end;
using weft::test::throws_when_copied;

class SpawnFunction : public weft::test::runtime_test {};

TEST_F(SpawnFunction, a_function_may_be_what_can_only_be_moved) {
  run([] {
    auto child = spawn([value = std::make_unique<int>(5)] { return *value; });

    child.join();

    EXPECT_EQ(child.result(), 5);
  });
}

TEST_F(SpawnFunction, a_function_that_is_an_lvalue_is_copied) {
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

TEST_F(SpawnFunction, a_function_may_be_a_plain_one) {
  run([] {
    auto by_pointer = spawn(&a_plain_function);
    auto by_name = spawn(a_plain_function);

    by_pointer.join();
    by_name.join();

    EXPECT_EQ(by_pointer.result() + by_name.result(), 6);
  });
}

TEST_F(SpawnFunction, functions_of_every_size_keep_what_they_captured) {
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

TEST_F(SpawnFunction, what_refers_to_four_others_needs_no_memory_beside_the_block) {
  int a = 1;
  int b = 2;
  int c = 3;
  int d = 0;
  auto function = [&a, &b, &c, &d] { d = a + b + c; };
  static_assert(sizeof(weft::detail::task<decltype(function)>) <= weft::detail::inline_task_size);

  run([&] { spawn(function).join(); });

  EXPECT_EQ(d, 6);
}

TEST_F(SpawnFunction, an_over_aligned_function_is_aligned) {
  struct alignas(256) aligned_function {
    std::uintptr_t operator()() const { return reinterpret_cast<std::uintptr_t>(this); }
  };

  run([] {
    auto child = spawn(aligned_function{});

    child.join();

    EXPECT_EQ(child.result() % 256, 0u);
  });
}

TEST_F(SpawnFunction, the_function_is_destroyed_on_its_fiber) {
  run([] {
    weft::fiber_id where{};
    auto child = spawn([note = note_of_end(where)] {});

    child.join();

    EXPECT_EQ(where, child.get_id());
  });
}

TEST_F(SpawnFunction, the_function_of_a_fiber_that_never_ran_is_destroyed_on_its_fiber) {
  run([] {
    weft::fiber_id where{};
    auto child = spawn([note = note_of_end(where)] {});

    child.request_cancel();
    child.join();

    EXPECT_EQ(where, child.get_id());
  });
}

TEST_F(SpawnFunction, what_a_function_has_captured_may_wait_when_it_is_destroyed) {
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

TEST_F(SpawnFunction, an_exception_in_copying_the_function_reaches_the_spawner_and_leaks_nothing) {
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

}  // namespace
