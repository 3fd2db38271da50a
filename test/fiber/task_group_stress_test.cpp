// Task groups under load: failures, cancellations and ends that race on several workers.
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <system_error>
#include <thread>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>

#include "players.hpp"
#include "support/runtime_fixture.hpp"

namespace {

using weft::task_group;
using weft::test::seeded;
using weft::this_fiber::sleep_for;
using weft::this_fiber::yield;

class TaskGroupStress : public weft::test::runtime_test {};

struct failure : std::runtime_error {
  failure() : std::runtime_error("at random") {}
};

// What the fibers of one group have done.
struct tally {
  std::atomic<int> inside = 0;
  std::atomic<int> failed = 0;
  std::atomic<int> spawned = 0;
};

struct inside {
  tally& counts;

  explicit inside(tally& which) : counts(which) { ++counts.inside; }

  inside(const inside&) = delete;
  inside& operator=(const inside&) = delete;

  ~inside() { --counts.inside; }
};

// A fiber of a group: waits, spawns others, fails or returns.
struct member {
  task_group& group;
  tally& counts;
  unsigned plan;

  void operator()() const {
    const inside here{counts};
    for (unsigned turn = plan % 4; turn > 0; --turn) yield();
    if (plan % 3 == 0) sleep_for(std::chrono::microseconds(plan % 500));
    if (plan % 5 == 0) spawn_another();
    if (plan % 7 == 0) {
      ++counts.failed;
      throw failure{};
    }
  }

  void spawn_another() const {
    ++counts.spawned;
    group.spawn_on((plan / 5) % 2, member{group, counts, plan / 7 + 1});
  }
};

void fill(task_group& group, tally& counts, seeded& random) {
  for (unsigned i = random.below(8); i > 0; --i) {
    ++counts.spawned;
    group.spawn_on(random.below(2), member{group, counts, random.below(10'000)});
  }
}

// A group that another task cancels at any moment: nobody is left behind, no failure is lost.
TEST_F(TaskGroupStress, leaves_nobody_behind_and_loses_no_failure) {
  seeded random{weft::test::new_seed()};
  run(
      [&] {
        for (int round = 0; round < weft::test::stress_operations / 10; ++round) {
          tally counts;
          std::optional<task_group> group{std::in_place};
          const unsigned turns = random.below(30);
          auto canceller = weft::spawn_on(1, [&, turns] {
            for (unsigned i = 0; i < turns; ++i) yield();
            if (turns % 2 == 0) group->request_cancel();
          });
          fill(*group, counts, random);
          bool thrown = false;
          try {
            group->join();
          } catch (const failure&) {
            thrown = true;
          }
          ASSERT_EQ(counts.inside, 0);
          ASSERT_EQ(thrown, counts.failed != 0);
          ASSERT_EQ(group->errors().size(), static_cast<std::size_t>(counts.failed));
          ASSERT_EQ(group->size(), 0u);
          canceller.join();
          group.reset();
        }
      },
      {.workers = 2});
}

// The owner is cancelled at any moment, while it spawns, joins or leaves.
TEST_F(TaskGroupStress, of_a_cancelled_owner_leaves_nobody_behind) {
  seeded random{weft::test::new_seed()};
  std::atomic<int> reported = 0;
  weft::set_unhandled_error_handler([&](const weft::unhandled_error&) { ++reported; });
  run(
      [&] {
        for (int round = 0; round < weft::test::stress_operations / 10; ++round) {
          tally counts;
          reported = 0;
          const bool joins = random.below(2) == 0;
          const unsigned seed = random.below(1'000'000);
          std::size_t seen = 0;
          auto owner = weft::spawn_on(random.below(2), [&, joins, seed] {
            std::mt19937_64 plan{seed};
            task_group group;
            for (auto i = plan() % 6; i > 0; --i) {
              ++counts.spawned;
              group.spawn_on(plan() % 2,
                             member{group, counts, static_cast<unsigned>(plan() % 10'000)});
            }
            if (!joins) return;
            std::error_code ec;
            group.join(ec);
            seen = group.errors().size();
          });
          for (unsigned i = random.below(20); i > 0; --i) yield();
          owner.request_cancel();
          owner.join();
          ASSERT_EQ(counts.inside, 0);
          ASSERT_EQ(static_cast<int>(seen) + reported, counts.failed);
        }
      },
      {.workers = 2});
  weft::set_unhandled_error_handler({});
}

// The last child ends on another worker while the owner, on any kind of task, goes at once.
TEST_F(TaskGroupStress, goes_at_once_when_its_last_fiber_has_ended_elsewhere) {
  run(
      [] {
        for (int round = 0; round < weft::test::stress_operations / 4; ++round) {
          auto group = std::make_unique<task_group>();
          int written = 0;
          group->spawn_on(1, [&] { written = 1; });
          if (round % 3 == 0) {
            while (group->size() != 0) yield();
          } else if (round % 3 == 1) {
            group->join();
          }
          group.reset();
          ASSERT_EQ(written, 1);
        }
      },
      {.workers = 2});
}

TEST_F(TaskGroupStress, is_joined_and_destroyed_by_a_plain_thread) {
  run(
      [] {
        for (int round = 0; round < weft::test::stress_operations / 100; ++round) {
          auto group = std::make_unique<task_group>();
          std::atomic<int> ended = 0;
          for (unsigned i = 0; i < 4; ++i) group->spawn_on(1, [&] { ++ended; });
          std::thread owner{[&] {
            if (round % 2 == 0) group->join();
            group.reset();
            EXPECT_EQ(ended, 4);
          }};
          owner.join();
        }
      },
      {.workers = 2});
}

// Children are dropped, joined and asked by another worker while they end.
TEST_F(TaskGroupStress, children_may_be_used_anywhere_while_they_end) {
  seeded random{weft::test::new_seed()};
  run(
      [&] {
        for (int round = 0; round < weft::test::stress_operations / 10; ++round) {
          task_group group;
          auto child = group.spawn_on(1, [] {
            yield();
            return 7;
          });
          const unsigned what = random.below(4);
          for (unsigned i = random.below(10); i > 0; --i) yield();
          if (what == 0) child.request_cancel();
          if (what == 1) child = {};
          if (what == 2) child.join();
          group.join();
          if (what >= 2) {
            ASSERT_EQ(child.result(), 7);
          }
        }
      },
      {.workers = 2});
}

}  // namespace
