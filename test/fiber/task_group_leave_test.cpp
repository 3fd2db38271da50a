// Task groups that are left while other tasks are inside join(). They are on the heap, where the
// sanitizers see who comes too late. (For request_cancel() there is
// test/model/task_group_model.cpp.)
#include <atomic>
#include <memory>
#include <system_error>
#include <thread>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>
#include <weft/fiber/testing.hpp>

#include "players.hpp"
#include "support/runtime_fixture.hpp"

namespace {

using weft::spawn;
using weft::spawn_on;
using weft::task_group;
using weft::test::seeded;
using weft::test::wait_until;
using weft::this_fiber::yield;

class TaskGroupLeave : public weft::test::runtime_test {};

using TaskGroupLeaveStress = TaskGroupLeave;

// The end of the child wakes the owner first.
TEST_F(TaskGroupLeave, waits_for_another_fiber_inside_join) {
  run([] {
    auto held = std::make_unique<task_group>();
    task_group& group = *held;
    weft::event go;
    bool joined = false;
    group.spawn([&] { go.wait(); });
    auto owner = spawn([&] {
      held.reset();
      EXPECT_TRUE(joined);
    });
    weft::testing::all_blocked();
    auto joiner = spawn([&] {
      group.join();
      joined = true;
    });
    weft::testing::all_blocked();

    go.set();
    owner.join();

    EXPECT_TRUE(joined);
  });
}

// Two workers: the fiber of the group ends, its owner on worker 0 leaves, and a fiber of worker 1
// inside join() cannot run on.
class held_up_join {
public:
  held_up_join() {
    group_->spawn([this] { go_.wait(); });
    joiner_ = spawn_on(1, [this, &group = *group_] {
      joins_ = true;
      group.join();
    });
    wait_until([&] { return joins_.load(); });
    // Runs once the joiner has parked.
    occupant_ = spawn_on(1, [this] {
      occupied_ = true;
      while (!may_go_on_) std::this_thread::yield();
    });
    wait_until([&] { return occupied_.load(); });
    owner_ = spawn([this] {
      group_.reset();
      left_ = true;
    });
    go_.set();
    take_turns();
  }

  static void take_turns() {
    for (int i = 0; i < 10; ++i) yield();
  }

  bool left() const { return left_; }

  weft::fiber<>& owner() { return owner_; }

  void let_it_run_on() {
    may_go_on_ = true;
    owner_.join();
  }

private:
  std::unique_ptr<task_group> group_ = std::make_unique<task_group>();
  weft::event go_;
  std::atomic<bool> joins_ = false;
  std::atomic<bool> occupied_ = false;
  std::atomic<bool> may_go_on_ = false;
  bool left_ = false;
  weft::fiber<> occupant_;
  weft::fiber<> joiner_;
  weft::fiber<> owner_;
};

TEST_F(TaskGroupLeave, waits_for_a_fiber_of_another_worker_inside_join) {
  run(
      [] {
        held_up_join other;

        EXPECT_FALSE(other.left());

        other.let_it_run_on();
        EXPECT_TRUE(other.left());
      },
      {.workers = 2});
}

TEST_F(TaskGroupLeave, waits_for_who_is_inside_join_in_a_cancelled_owner_too) {
  run(
      [] {
        held_up_join other;

        other.owner().request_cancel();
        held_up_join::take_turns();
        EXPECT_FALSE(other.left());

        other.let_it_run_on();
        EXPECT_TRUE(other.left());
      },
      {.workers = 2});
}

TEST_F(TaskGroupLeave, waits_for_a_join_that_finds_nobody_but_gives_way) {
  run([] {
    auto held = std::make_unique<task_group>();
    task_group& group = *held;
    bool left = false;
    auto owner = spawn([&] {
      held.reset();
      left = true;
    });

    for (int i = 0; i < 64; ++i) group.join();

    EXPECT_FALSE(left);
    owner.join();
  });
}

// ---- under load --------------------------------------------------------------------------------

// The child goes on once the joiner, of its worker, is inside; it ends when the owner already waits
// or comes, and the joiner may be cancelled meanwhile.
TEST_F(TaskGroupLeaveStress, a_join_elsewhere_never_outlives_the_group) {
  seeded random{weft::test::new_seed()};
  run(
      [&] {
        for (int round = 0; round < weft::test::stress_operations / 4; ++round) {
          auto held = std::make_unique<task_group>();
          task_group& group = *held;
          weft::event inside;
          group.spawn_on(1, [&, turns = random.below(4)] {
            inside.wait();
            for (unsigned i = 0; i < turns; ++i) yield();
          });
          auto joiner = spawn_on(1, [&] {
            std::error_code ec;
            inside.set();
            group.join(ec);
          });
          const bool cancels = random.below(3) == 0;
          for (unsigned i = random.below(4); i > 0; --i) yield();
          inside.wait();
          if (cancels) joiner.request_cancel();

          held.reset();

          joiner.join();
        }
      },
      {.workers = 2});
}

}  // namespace
