// The stack that the worker of a pool keeps, beside what others reserve.
#include <array>
#include <cstddef>
#include <cstdint>
#include <random>
#include <set>
#include <system_error>

#include <gtest/gtest.h>

#include "stack_pool.hpp"
#include "support/runtime_fixture.hpp"
#include "support/seed.hpp"

namespace {

using weft::stack_guard;
using weft::detail::running_worker;
using weft::detail::stack;
using weft::detail::stack_pool;
using weft::detail::worker_view;

class StackSpare : public weft::test::runtime_test {};

// Reserves, takes and releases at random, as a worker and others do, and keeps count.
class random_use {
public:
  random_use(stack_pool& pool, worker_view& worker, std::uint64_t seed)
      : pool_(pool), worker_(worker), random_(seed) {}

  ~random_use() { running_worker = nullptr; }

  void step() {
    const auto size_class = static_cast<std::uint8_t>(random_() % 2);
    const bool by_worker = random_() % 2 == 0;
    switch (random_() % 4) {
    case 0: return reserve(size_class, by_worker);
    case 1: return cancel(size_class, by_worker);
    case 2: return take(size_class);
    default: return release();
    }
  }

  void give_everything_up() {
    for (std::uint8_t size_class = 0; size_class < 2; ++size_class) {
      for (const bool by_worker : {true, false}) {
        while (reserved_[size_class][by_worker] != 0) cancel(size_class, by_worker);
      }
    }
    while (!taken_.empty()) release();
  }

  std::size_t taken() const { return taken_.size(); }

  std::size_t reserved(std::size_t size_class) const {
    return reserved_[size_class][0] + reserved_[size_class][1];
  }

private:
  void act_as(bool worker) { running_worker = worker ? &worker_ : nullptr; }

  void reserve(std::uint8_t size_class, bool by_worker) {
    if (reserved(size_class) == 50) return;
    act_as(by_worker);
    std::error_code ec;
    ASSERT_TRUE(pool_.reserve(size_class, ec)) << ec;
    ++reserved_[size_class][by_worker];
  }

  void cancel(std::uint8_t size_class, bool by_worker) {
    if (reserved_[size_class][by_worker] == 0) return;
    act_as(by_worker);
    pool_.cancel_reservation(size_class);
    --reserved_[size_class][by_worker];
  }

  // Only the worker does, of what anybody has reserved.
  void take(std::uint8_t size_class) {
    const bool by_worker = reserved_[size_class][true] != 0 && random_() % 2 == 0;
    if (reserved_[size_class][by_worker] == 0) return;
    act_as(true);
    stack& mine = pool_.take(size_class);
    --reserved_[size_class][by_worker];
    EXPECT_EQ(mine.size_class, size_class);
    EXPECT_TRUE(taken_.insert(&mine).second) << "it is in use";
  }

  void release() {
    if (taken_.empty()) return;
    act_as(true);
    pool_.release(**taken_.begin());
    taken_.erase(taken_.begin());
    if (random_() % 16 == 0) pool_.trim();
  }

  stack_pool& pool_;
  worker_view& worker_;
  std::mt19937_64 random_;
  std::array<std::array<std::size_t, 2>, 2> reserved_{};  // of a class, by the worker or others
  std::set<stack*> taken_;
};

TEST_F(StackSpare, reservations_of_the_worker_and_of_others_find_a_stack_of_their_own) {
  worker_view worker;
  stack_pool pool{stack_guard::automatic, worker};
  random_use use{pool, worker, weft::test::fresh_seed()};

  for (int i = 0; i < 20'000; ++i) {
    use.step();
    ASSERT_EQ(pool.in_use(), use.taken());
    ASSERT_EQ(pool.reserved(0), use.reserved(0));
    ASSERT_EQ(pool.reserved(1), use.reserved(1));
  }
  const std::size_t mapped = pool.mapped_bytes();
  use.give_everything_up();

  EXPECT_EQ(pool.in_use() + pool.reserved(0) + pool.reserved(1), 0u);
  EXPECT_LE(pool.mapped_bytes(), mapped);
}

}  // namespace
