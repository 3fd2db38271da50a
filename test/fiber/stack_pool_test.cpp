// The stacks of fibers: size classes, colours, reuse, guards, and memory given back.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sys/resource.h>
#include <system_error>
#include <vector>

#include <gtest/gtest.h>

#include "stack_memory.hpp"
#include "stack_pool.hpp"
#include "support/runtime_fixture.hpp"
#include "support/sanitizers.hpp"

namespace {

using weft::stack_guard;
using weft::detail::lowest_resident;
using weft::detail::page_size;
using weft::detail::running_worker;
using weft::detail::stack;
using weft::detail::stack_pool;
using weft::detail::worker_view;
using weft::test::under_asan;
using weft::test::under_tsan;

constexpr std::size_t kib = 1024;
constexpr std::uint8_t class_16_kib = 0;
constexpr std::uint8_t class_256_kib = 4;

class stack_pool_test : public weft::test::runtime_test {
protected:
  static stack& reserve_and_take(stack_pool& pool, std::uint8_t size_class) {
    std::error_code ec;
    EXPECT_TRUE(pool.reserve(size_class, ec)) << ec;
    return pool.take(size_class);
  }

  static std::vector<stack*> take_many(stack_pool& pool, std::uint8_t size_class,
                                       std::size_t count) {
    std::vector<stack*> taken;
    for (std::size_t i = 0; i < count; ++i) taken.push_back(&reserve_and_take(pool, size_class));
    return taken;
  }

  static void touch(const stack& used, std::size_t depth) {
    for (std::size_t offset = 0; offset < depth; offset += page_size) {
      *reinterpret_cast<volatile char*>(used.base + used.size - 1 - offset) = 1;
    }
  }

  // Bytes from the top down to the deepest page that is in memory.
  static std::size_t resident_depth(const stack& used) {
    std::byte* const end = used.base + used.size;
    return static_cast<std::size_t>(end - lowest_resident(used.base + page_size, end));
  }
};

using StackPoolDeath = stack_pool_test;
using StackMemory = stack_pool_test;

// Stacks are reserved on the thread of the pool's worker, which keeps one, or on another.
class StackPool : public stack_pool_test, public testing::WithParamInterface<bool> {
protected:
  void SetUp() override {
    stack_pool_test::SetUp();
    if (GetParam()) running_worker = &worker_;
  }

  void TearDown() override {
    running_worker = nullptr;
    stack_pool_test::TearDown();
  }

  const worker_view& worker() const noexcept { return worker_; }

private:
  worker_view worker_;
};

INSTANTIATE_TEST_SUITE_P(of, StackPool, testing::Bool(), [](const auto& each) {
  return each.param ? "its_worker" : "another_thread";
});

TEST_P(StackPool, sizes_are_rounded_up_to_a_power_of_two_of_at_least_16_KiB) {
  const auto class_of = [](std::size_t size) { return int{stack_pool::class_of(size).value()}; };
  const int smallest = class_of(1);

  EXPECT_EQ(class_of(0), smallest);
  EXPECT_EQ(class_of(16 * kib), smallest);
  EXPECT_EQ(class_of(16 * kib + 1), smallest + 1);
  EXPECT_EQ(class_of(32 * kib), smallest + 1);
  EXPECT_EQ(class_of(256 * kib), smallest + 4);
  EXPECT_EQ(class_of(stack_pool::largest), 16);
  EXPECT_EQ(class_of(stack_pool::largest - 1), 16);
}

TEST_P(StackPool, there_is_no_class_above_1_GiB) {
  EXPECT_EQ(stack_pool::class_of(stack_pool::largest + 1), std::nullopt);
  EXPECT_EQ(stack_pool::class_of(SIZE_MAX), std::nullopt);
}

TEST_P(StackPool, stacks_have_the_size_of_their_class_and_do_not_overlap) {
  stack_pool pool{stack_guard::automatic, worker()};
  std::vector<stack*> all;
  for (const std::uint8_t size_class : {class_16_kib, class_256_kib, std::uint8_t{10}}) {
    for (stack* each : take_many(pool, size_class, 70)) {
      EXPECT_EQ(each->size, (16 * kib) << size_class);
      EXPECT_EQ(each->size_class, size_class);
      all.push_back(each);
    }
  }

  std::ranges::sort(all, {}, [](const stack* each) { return each->base; });
  for (std::size_t i = 1; i < all.size(); ++i) {
    EXPECT_LE(all[i - 1]->base + all[i - 1]->size, all[i]->base);
  }
}

TEST_P(StackPool, the_largest_stack_is_mapped_and_usable_to_its_ends) {
  stack_pool pool{stack_guard::automatic, worker()};
  stack& largest = reserve_and_take(pool, 16);

  *reinterpret_cast<volatile char*>(largest.base + page_size) = 1;
  *reinterpret_cast<volatile char*>(largest.top() - 1) = 1;

  EXPECT_EQ(largest.size, stack_pool::largest);
}

TEST_P(StackPool, tops_are_aligned_to_cache_lines_and_spread_over_sixteen_of_them) {
  stack_pool pool{stack_guard::automatic, worker()};
  std::set<std::uintptr_t> lines;

  for (const stack* each : take_many(pool, class_256_kib, 32)) {
    const auto top = reinterpret_cast<std::uintptr_t>(each->top());
    EXPECT_EQ(top % 64, 0u);
    lines.insert(top % page_size);
  }

  EXPECT_EQ(lines.size(), 16u);
}

TEST_P(StackPool, the_stack_released_last_is_taken_first) {
  stack_pool pool{stack_guard::automatic, worker()};
  const auto taken = take_many(pool, class_256_kib, 3);

  for (stack* each : taken) pool.release(*each);

  EXPECT_EQ(&reserve_and_take(pool, class_256_kib), taken[2]);
  EXPECT_EQ(&reserve_and_take(pool, class_256_kib), taken[1]);
  EXPECT_EQ(&reserve_and_take(pool, class_256_kib), taken[0]);
}

TEST_P(StackPool, a_used_stack_is_taken_before_a_fresh_one) {
  stack_pool pool{stack_guard::automatic, worker()};
  std::error_code ec;
  stack& used = reserve_and_take(pool, class_256_kib);
  ASSERT_TRUE(pool.reserve(class_256_kib, ec));  // makes a second one
  pool.release(used);

  EXPECT_EQ(&pool.take(class_256_kib), &used);
}

TEST_P(StackPool, every_reservation_finds_a_stack) {
  stack_pool pool{stack_guard::automatic, worker()};
  std::error_code ec;
  std::set<stack*> taken;

  for (int i = 0; i < 200; ++i) ASSERT_TRUE(pool.reserve(class_16_kib, ec));
  for (int i = 0; i < 200; ++i) taken.insert(&pool.take(class_16_kib));

  EXPECT_EQ(taken.size(), 200u);
  EXPECT_EQ(pool.in_use(), 200u);
}

TEST_P(StackPool, a_cancelled_reservation_leaves_its_stack_to_the_next) {
  stack_pool pool{stack_guard::automatic, worker()};
  std::error_code ec;

  for (int i = 0; i < 10'000; ++i) {
    ASSERT_TRUE(pool.reserve(class_256_kib, ec));
    pool.cancel_reservation(class_256_kib);
  }

  EXPECT_EQ(pool.mapped_bytes(), 16 * kib * kib) << "one chunk for the one stack";
}

TEST_P(StackPool, released_stacks_are_used_again_before_anything_is_mapped) {
  stack_pool pool{stack_guard::automatic, worker()};
  auto taken = take_many(pool, class_256_kib, 64);
  const std::size_t mapped = pool.mapped_bytes();

  for (int round = 0; round < 10; ++round) {
    for (stack* each : taken) pool.release(*each);
    taken = take_many(pool, class_256_kib, 64);
  }

  EXPECT_EQ(pool.mapped_bytes(), mapped);
  EXPECT_EQ(pool.in_use(), 64u);
}

// ---- little address space ----------------------------------------------------------------------

// Limits the address space of the process to `room` bytes more than it has.
void limit_address_space(std::size_t room) {
  std::size_t pages = 0;  // man 5 proc: the first number
  std::ifstream{"/proc/self/statm"} >> pages;
  const rlim_t bytes = pages * page_size + room;
  const rlimit limit{bytes, bytes};
  if (::setrlimit(RLIMIT_AS, &limit) != 0) std::_Exit(1);
}

TEST_F(StackPoolDeath, stacks_are_to_be_had_as_long_as_there_is_room_for_one) {
  if (under_asan || under_tsan) GTEST_SKIP() << "a sanitizer needs address space of its own";

  const auto reserve_all = [] {
    enter_death_test();
    stack_pool pool{stack_guard::automatic};
    std::error_code ec;
    limit_address_space(3 * kib * kib);
    std::size_t stacks = 0;
    while (pool.reserve(class_256_kib, ec)) ++stacks;
    // The bookkeeping may take some room of its own.
    const bool most = stacks >= 8 && pool.mapped_bytes() == stacks * 256 * kib;
    std::_Exit(most && ec == std::errc::not_enough_memory ? 0 : 2);
  };

  EXPECT_EXIT(reserve_all(), testing::ExitedWithCode(0), "");
}

// ---- guards ------------------------------------------------------------------------------------

TEST_F(StackPoolDeath, the_guard_page_faults_whatever_makes_it) {
  for (const stack_guard guard : {stack_guard::automatic, stack_guard::page_protection}) {
    stack_pool pool{guard};
    for (const stack* each : take_many(pool, class_16_kib, 3)) {
      EXPECT_DEATH(static_cast<void>(*reinterpret_cast<volatile char*>(each->base)), "");
      EXPECT_DEATH(*reinterpret_cast<volatile char*>(each->base + page_size - 1) = 1, "");
      *reinterpret_cast<volatile char*>(each->base + page_size) = 1;
    }
  }
}

TEST_F(StackPoolDeath, in_groups_one_stack_of_sixteen_has_a_guard) {
  stack_pool pool{stack_guard::groups};
  const auto taken = take_many(pool, class_256_kib, 70);

  for (std::size_t i = 0; i < taken.size(); ++i) {
    if (i % 16 == 0 || i == 64) {  // the 65th begins another mapping
      EXPECT_DEATH(static_cast<void>(*reinterpret_cast<volatile char*>(taken[i]->base)), "");
    } else {
      *reinterpret_cast<volatile char*>(taken[i]->base) = 1;
    }
  }
}

TEST_F(StackPoolDeath, a_fiber_that_overflows_its_stack_ends_the_process) {
  struct deep {
    [[gnu::noinline]] static int go(int level) {
      volatile char block[512] = {};
      block[level % 512] = 1;
      return level == 0 ? block[0] : go(level - 1) + block[1];
    }
  };

  for (const stack_guard guard : {stack_guard::automatic, stack_guard::page_protection}) {
    EXPECT_DEATH(
        {
          enter_death_test();
          weft::runtime worker{{.guard = guard}};
          worker.run([] {
            auto child = weft::spawn([] { return deep::go(1'000'000'000); });
            child.join();
          });
        },
        "");
  }
}

// ---- memory given back -------------------------------------------------------------------------

TEST_P(StackPool, a_trim_gives_back_what_lies_below_the_watermark) {
  stack_pool pool{stack_guard::automatic, worker()};
  stack& deep = reserve_and_take(pool, class_256_kib);
  touch(deep, 200 * kib);
  ASSERT_GE(resident_depth(deep), 200 * kib);

  pool.release(deep);
  pool.trim();

  EXPECT_EQ(resident_depth(deep), stack_pool::watermark);
}

TEST_P(StackPool, a_trim_leaves_alone_what_lies_above_the_watermark) {
  stack_pool pool{stack_guard::automatic, worker()};
  stack& shallow = reserve_and_take(pool, class_256_kib);
  touch(shallow, 10 * kib);

  pool.release(shallow);
  for (int i = 0; i < 5; ++i) pool.trim();

  EXPECT_EQ(resident_depth(shallow), 12 * kib);
}

TEST_P(StackPool, a_trim_leaves_stacks_in_use_alone) {
  stack_pool pool{stack_guard::automatic, worker()};
  stack& used = reserve_and_take(pool, class_256_kib);
  touch(used, 200 * kib);

  for (int i = 0; i < 5; ++i) pool.trim();

  EXPECT_GE(resident_depth(used), 200 * kib);
}

TEST_P(StackPool, the_smallest_stack_can_be_trimmed) {
  stack_pool pool{stack_guard::automatic, worker()};
  stack& small = reserve_and_take(pool, class_16_kib);
  touch(small, 12 * kib);

  pool.release(small);
  for (int i = 0; i < 5; ++i) pool.trim();

  EXPECT_EQ(resident_depth(small), 12 * kib);
}

TEST_P(StackPool, trims_give_back_all_of_the_free_stacks_beyond_those_kept_warm) {
  stack_pool pool{stack_guard::automatic, worker()};
  const auto taken = take_many(pool, class_256_kib, 1'000);
  for (const stack* each : taken) touch(*each, 4 * kib);
  for (stack* each : taken) pool.release(*each);

  while (pool.trim()) {
  }

  const auto resident =
      std::ranges::count_if(taken, [](const stack* each) { return resident_depth(*each) != 0; });
  EXPECT_EQ(static_cast<std::size_t>(resident), stack_pool::keep_warm);
  for (std::size_t i = taken.size() - stack_pool::keep_warm; i < taken.size(); ++i) {
    EXPECT_NE(resident_depth(*taken[i]), 0u) << "those released last stay warm";
  }
}

TEST_P(StackPool, a_stack_that_was_given_back_reads_as_zeros_and_can_be_used_again) {
  stack_pool pool{stack_guard::automatic, worker()};
  const auto taken = take_many(pool, class_256_kib, 100);
  for (const stack* each : taken) touch(*each, 4 * kib);
  for (stack* each : taken) pool.release(*each);
  while (pool.trim()) {
  }

  const auto again = take_many(pool, class_256_kib, 100);

  std::size_t zeros = 0;
  for (const stack* each : again) {
    zeros += *reinterpret_cast<volatile char*>(each->base + each->size - 1) == 0 ? 1 : 0;
    touch(*each, 200 * kib);
  }
  EXPECT_EQ(zeros, 36u);
}

TEST_P(StackPool, stacks_that_are_in_use_again_by_then_are_not_given_back) {
  stack_pool pool{stack_guard::automatic, worker()};
  auto taken = take_many(pool, class_256_kib, 200);
  for (const stack* each : taken) touch(*each, 4 * kib);

  for (int round = 0; round < 5; ++round) {
    for (stack* each : taken) pool.release(*each);
    pool.trim();
    taken = take_many(pool, class_256_kib, 200);
  }

  for (const stack* each : taken) EXPECT_NE(resident_depth(*each), 0u);
}

TEST_P(StackPool, trimming_ends_once_there_is_nothing_more_to_do) {
  stack_pool pool{stack_guard::automatic, worker()};
  EXPECT_FALSE(pool.trim());
  pool.release(reserve_and_take(pool, class_256_kib));

  int trims = 1;
  while (pool.trim()) ++trims;

  EXPECT_LE(trims, 2);
}

// ---- the pages beneath -------------------------------------------------------------------------

TEST_F(StackMemory, lowest_resident_finds_the_page_that_was_touched) {
  constexpr std::size_t size = 4 * kib * kib;  // several looks at 1 MiB
  std::byte* const base = weft::detail::map_stacks(size);
  ASSERT_NE(base, nullptr);
  EXPECT_EQ(lowest_resident(base, base + size), base + size);

  *reinterpret_cast<volatile char*>(base + 3 * kib * kib + 17) = 1;
  EXPECT_EQ(lowest_resident(base, base + size), base + 3 * kib * kib);

  weft::detail::give_back(base, base + size);
  EXPECT_EQ(lowest_resident(base, base + size), base + size);
  EXPECT_EQ(lowest_resident(base, base), base);
  weft::detail::unmap_stacks(base, size);
}

TEST_F(StackMemory, more_than_the_address_space_is_not_to_be_had) {
  EXPECT_EQ(weft::detail::map_stacks(std::size_t{1} << 62), nullptr);
}

}  // namespace
