#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <random>
#include <stdexcept>
#include <utility>

#include <gtest/gtest.h>

#include <weft/fiber/detail/value_queue.hpp>

namespace {

using weft::detail::value_queue;

// Counts those that live; a move throws when `moves_until_throw` has come down to zero.
struct counted {
  explicit counted(int value) noexcept : number(value) { ++living; }

  counted(counted&& other) : number(other.number) {
    if (--moves_until_throw == 0) throw std::runtime_error("no move");
    ++living;
  }

  counted(const counted&) = delete;
  counted& operator=(const counted&) = delete;

  ~counted() { --living; }

  int number;
  static inline int living = 0;
  static inline int moves_until_throw = 0;
};

TEST(value_queue, is_first_in_first_out_through_many_blocks) {
  value_queue<int> queue;
  for (int i = 0; i < 10'000; ++i) queue.push(int{i});
  EXPECT_EQ(queue.size(), 10'000U);
  for (int i = 0; i < 10'000; ++i) {
    ASSERT_EQ(queue.front(), i);
    queue.pop();
  }
  EXPECT_TRUE(queue.empty());
}

TEST(value_queue, behaves_as_a_deque_in_random_order) {
  for (unsigned seed = 1; seed <= 50; ++seed) {
    std::mt19937 random{seed};
    value_queue<std::unique_ptr<int>> queue;
    std::deque<int> expected;
    int next = 0;
    for (int round = 0; round < 2'000; ++round) {
      // Now mostly in, now mostly out, so that it grows to some blocks and is empty often.
      if (random() % 4 < (round / 300 % 2 == 0 ? 3U : 1U)) {
        queue.push(std::make_unique<int>(next));
        expected.push_back(next++);
      } else if (!expected.empty()) {
        ASSERT_EQ(*queue.front(), expected.front()) << "seed " << seed;
        queue.pop();
        expected.pop_front();
      }
      ASSERT_EQ(queue.size(), expected.size()) << "seed " << seed;
      ASSERT_EQ(queue.empty(), expected.empty()) << "seed " << seed;
    }
  }
}

TEST(value_queue, destroys_what_is_left_in_it) {
  {
    value_queue<counted> queue;
    for (int i = 0; i < 1'000; ++i) queue.push(counted{i});
    for (int i = 0; i < 300; ++i) queue.pop();
    EXPECT_EQ(counted::living, 700);
  }
  EXPECT_EQ(counted::living, 0);
}

// At the first value, inside a block, and where a block is full.
TEST(value_queue, is_as_before_when_a_move_throws) {
  for (const int before : {0, 1, 127, 128, 129, 256}) {
    value_queue<counted> queue;
    for (int i = 0; i < before; ++i) queue.push(counted{i});
    counted::moves_until_throw = 1;
    EXPECT_THROW(queue.push(counted{-1}), std::runtime_error);
    EXPECT_EQ(queue.size(), static_cast<std::size_t>(before));
    for (int i = before; i < before + 200; ++i) queue.push(counted{i});
    for (int i = 0; i < before + 200; ++i) {
      ASSERT_EQ(queue.front().number, i);
      queue.pop();
    }
    EXPECT_EQ(counted::living, 0);
  }
}

TEST(value_queue, takes_values_larger_than_a_block_and_of_any_alignment) {
  struct alignas(256) large {
    int number;
    std::byte rest[2'000];
  };

  value_queue<large> queue;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 5; ++i) queue.push(large{i, {}});
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(&queue.front()) % 256, 0U);
      EXPECT_EQ(queue.front().number, i);
      queue.pop();
    }
  }
}

}  // namespace
