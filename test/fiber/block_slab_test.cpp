// Where control blocks come from.
#include <atomic>
#include <cstdint>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "block_slab.hpp"
#include "support/runtime_fixture.hpp"

namespace {

using weft::detail::block_slab;
using weft::detail::control_block;
using weft::detail::fiber_status;

using weft::detail::running_worker;
using weft::detail::worker_view;

// The tests run on the thread of the slab's owner, who keeps blocks, and on another.
class BlockSlab : public weft::test::runtime_test, public testing::WithParamInterface<bool> {
protected:
  void SetUp() override {
    runtime_test::SetUp();
    if (GetParam()) running_worker = &owner_;
  }

  void TearDown() override {
    slab_->abandon();
    running_worker = nullptr;
    runtime_test::TearDown();
  }

  static std::vector<control_block*> allocate(block_slab& slab, std::size_t count) {
    std::vector<control_block*> blocks;
    for (std::size_t i = 0; i < count; ++i) blocks.push_back(slab.allocate());
    return blocks;
  }

  block_slab& slab() noexcept { return *slab_; }

private:
  worker_view owner_;
  block_slab* slab_ = block_slab::create(&owner_);
};

INSTANTIATE_TEST_SUITE_P(of, BlockSlab, testing::Bool(), [](const auto& each) {
  return each.param ? "its_owner" : "another_thread";
});

TEST_P(BlockSlab, blocks_are_reserved_aligned_and_differ) {
  const auto blocks = allocate(slab(), 2'000);

  EXPECT_EQ(std::set(blocks.begin(), blocks.end()).size(), 2'000u);
  for (control_block* each : blocks) {
    ASSERT_NE(each, nullptr);
    EXPECT_TRUE(each->has_status(fiber_status::reserved));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(each) % 64, 0u);
    EXPECT_EQ(&control_block::of(each->wait), each);
    EXPECT_EQ(each->wait.resume, &weft::detail::resume_fiber);
  }
  EXPECT_EQ(slab().in_use(), 2'000u);
  for (control_block* each : blocks) block_slab::free(*each);
  EXPECT_EQ(slab().in_use(), 0u);
}

TEST_P(BlockSlab, the_block_freed_last_is_handed_out_first) {
  const auto blocks = allocate(slab(), 3);

  block_slab::free(*blocks[0]);
  block_slab::free(*blocks[2]);

  EXPECT_EQ(slab().allocate(), blocks[2]);
  EXPECT_EQ(slab().allocate(), blocks[0]);
  for (control_block* each : blocks) block_slab::free(*each);
}

TEST_P(BlockSlab, a_block_comes_back_as_good_as_new) {
  control_block* const block = slab().allocate();
  block->give_name("former");
  block->cancel_requested = true;
  block->detached = true;
  block->refusals = 7;
  block->uncaught_exceptions = 1;
  block_slab::free(*block);

  ASSERT_EQ(slab().allocate(), block);

  EXPECT_EQ(block->name.text, nullptr);
  EXPECT_FALSE(block->cancel_requested);
  EXPECT_FALSE(block->detached);
  EXPECT_EQ(block->refusals, 0u);
  EXPECT_EQ(block->uncaught_exceptions, 0u);
  EXPECT_EQ(block->task, nullptr);
  EXPECT_EQ(block->group, nullptr);
  EXPECT_EQ(block->next_ready, nullptr);
  block_slab::free(*block);
}

TEST_P(BlockSlab, a_visit_sees_every_block_in_use_and_no_other) {
  const auto blocks = allocate(slab(), 1'200);
  std::set<control_block*> expected(blocks.begin(), blocks.end());
  for (std::size_t i = 0; i < blocks.size(); i += 3) {
    block_slab::free(*blocks[i]);
    expected.erase(blocks[i]);
  }

  std::set<control_block*> seen;
  slab().for_each([&](control_block& block) { seen.insert(&block); });

  EXPECT_EQ(seen, expected);
  for (control_block* each : expected) block_slab::free(*each);
}

TEST_P(BlockSlab, chunks_that_have_become_empty_are_given_back) {
  for (int round = 0; round < 3; ++round) {
    const auto blocks = allocate(slab(), 10'000);
    const std::size_t at_most = slab().chunks();
    EXPECT_GE(at_most, 2u);

    for (control_block* each : blocks) block_slab::free(*each);

    EXPECT_LE(slab().chunks(), 2u);
    EXPECT_GE(slab().chunks(), 1u);
  }
}

TEST_P(BlockSlab, a_random_order_of_allocating_and_freeing_loses_nothing) {
  std::vector<control_block*> blocks;
  std::uint64_t state = 42;
  for (int i = 0; i < 100'000; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const auto random = static_cast<std::size_t>(state >> 33);
    // Grows for a while, shrinks for a while.
    const bool grow = random % 100 < (i / 10'000 % 2 == 0 ? 60u : 40u);
    if (grow || blocks.empty()) {
      blocks.push_back(slab().allocate());
      ASSERT_TRUE(blocks.back()->has_status(fiber_status::reserved));
    } else {
      std::swap(blocks[random % blocks.size()], blocks.back());
      block_slab::free(*blocks.back());
      blocks.pop_back();
    }
    ASSERT_EQ(slab().in_use(), blocks.size());
  }

  for (control_block* each : blocks) block_slab::free(*each);
  EXPECT_EQ(slab().in_use(), 0u);
}

TEST_P(BlockSlab, one_that_was_given_up_lives_until_its_last_block) {
  block_slab* const other = block_slab::create();
  const auto blocks = allocate(*other, 600);

  other->abandon();
  for (control_block* each : blocks) each->give_name(std::string(100, 'n'));

  for (control_block* each : blocks) block_slab::free(*each);  // the last one takes it along
}

// What the owner has kept when it gives the slab up is neither lost nor in use.
TEST_P(BlockSlab, one_that_is_given_up_with_all_blocks_free_goes_at_once) {
  const auto blocks = allocate(slab(), 600);
  for (control_block* each : blocks) block_slab::free(*each);
  EXPECT_EQ(slab().in_use(), 0u);  // TearDown() gives it up; the leak checker looks whether it goes
}

TEST_P(BlockSlab, blocks_may_be_freed_and_visited_by_others_while_it_allocates) {
  constexpr std::size_t count = 20'000;
  std::vector<std::atomic<control_block*>> given(count);
  std::atomic<bool> done{false};
  std::thread other([&] {
    for (auto& each : given) {
      control_block* block = nullptr;
      while ((block = each.load(std::memory_order_acquire)) == nullptr) std::this_thread::yield();
      block_slab::free(*block);
    }
  });
  std::thread visitor([&] {
    while (!done.load(std::memory_order_acquire)) {
      slab().try_for_each([this](const control_block& block) {
        EXPECT_EQ(&weft::detail::block_chunk::of(block).slab, &slab());
      });
      std::this_thread::yield();
    }
  });
  // Every other one is freed here, between those that the other thread frees.
  for (auto& each : given) {
    control_block* const mine = slab().allocate();
    control_block* const theirs = slab().allocate();
    ASSERT_NE(mine, theirs);
    block_slab::free(*mine);
    each.store(theirs, std::memory_order_release);
  }
  other.join();
  done.store(true, std::memory_order_release);
  visitor.join();
  EXPECT_EQ(slab().in_use(), 0u);
}

}  // namespace
