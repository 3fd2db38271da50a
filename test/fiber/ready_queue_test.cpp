// The queue of fibers that could run now: in order, however many there are.
#include <cstddef>
#include <deque>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "ready_queue.hpp"
#include "support/seed.hpp"

namespace {

using weft::detail::control_block;
using weft::detail::ready_queue;

constexpr std::size_t window = ready_queue::window;

// Blocks that nobody runs.
class ReadyQueue : public ::testing::Test {
protected:
  void push_all() {
    for (control_block& each : blocks_) queue_.push(each);
  }

  std::size_t pop_index() { return static_cast<std::size_t>(&queue_.pop() - blocks_.data()); }

  std::vector<control_block> blocks_{3 * window};
  ready_queue queue_;
};

TEST_F(ReadyQueue, gives_back_more_than_its_window_holds_in_order) {
  push_all();
  for (std::size_t i = 0; i < blocks_.size(); ++i) ASSERT_EQ(pop_index(), i);
  EXPECT_TRUE(queue_.empty());
}

TEST_F(ReadyQueue, keeps_the_order_whatever_comes_between) {
  const auto seed = weft::test::fresh_seed();
  std::mt19937_64 random{seed};
  std::deque<control_block*> expected;
  std::vector<control_block*> idle;
  for (control_block& each : blocks_) idle.push_back(&each);
  // Now more comes than goes, now less.
  for (int i = 0; i < 20'000; ++i) {
    const bool grows = i / 1'000 % 2 == 0;
    const bool pushes = !idle.empty() && (expected.empty() || (random() % 3 != 0) == grows);
    if (pushes) {
      expected.push_back(idle.back());
      idle.pop_back();
      queue_.push(*expected.back());
    } else {
      ASSERT_EQ(queue_.first(), expected.front());
      ASSERT_EQ(queue_.second(), expected.size() < 2 ? nullptr : expected[1]);
      ASSERT_EQ(&queue_.pop(), expected.front());
      idle.push_back(expected.front());
      expected.pop_front();
    }
    ASSERT_EQ(queue_.empty(), expected.empty());
  }
}

TEST_F(ReadyQueue, brings_one_of_its_window_forward_and_leaves_the_others_in_order) {
  push_all();
  EXPECT_EQ(queue_.size_in_window(), window);
  for (std::size_t i = 0; i < 10; ++i) ASSERT_EQ(pop_index(), i);

  queue_.bring_forward(0);
  ASSERT_EQ(pop_index(), 10u);
  queue_.bring_forward(3);
  for (const std::size_t expected : {14u, 11u, 12u, 13u, 15u}) ASSERT_EQ(pop_index(), expected);
  queue_.bring_forward(queue_.size_in_window() - 1);
  const std::size_t brought = pop_index();
  for (std::size_t i = 16; i < blocks_.size(); ++i) {
    if (i != brought) {
      ASSERT_EQ(pop_index(), i);
    }
  }
  EXPECT_TRUE(queue_.empty());
}

}  // namespace
