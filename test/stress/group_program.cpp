// Trees of task groups over several workers, of fibers and coroutines, some of which fail, are
// cancelled or cancel: none is left when its group has been joined, and the group has all errors.
#include <atomic>
#include <cstdint>
#include <system_error>
#include <thread>
#include <vector>

#include <weft/co.hpp>
#include <weft/fiber/testing.hpp>

#include "stress/program.hpp"

namespace weft::test::stress {
namespace {

class forest {
public:
  forest(outcome& result, unsigned workers) noexcept : result_(result), workers_(workers) {}

  // A group of random tasks, left in a random way. Throws what tasks do, or a cancellation.
  void grow(dice& random, std::size_t depth) {
    tree mine;
    task_group group;
    std::vector<task_group::child<std::uint64_t>> children;
    result_.count_operation();
    for (std::size_t i = random.below(6); i != 0; --i) {
      children.push_back(plant(group, mine, random, depth));
      if (random.once_in(8)) this_fiber::yield();
    }
    if (random.once_in(8)) group.request_cancel();
    if (random.once_in(8)) throw planned_failure{};
    std::error_code ec;
    group.join(ec);
    check(group, mine, children, ec);
    if (random.once_in(3)) group.join();
  }

  co::task<> co_grow(dice& random, std::size_t depth) {
    tree mine;
    result_.count_operation();
    co_await co::with_task_group([&](task_group& group) -> co::task<> {
      for (std::size_t i = random.below(6); i != 0; --i) {
        plant(group, mine, random, depth);
        if (random.once_in(8)) co_await co::yield();
      }
      if (random.once_in(8)) group.request_cancel();
      if (random.once_in(8)) throw planned_failure{};
      std::error_code ec;
      if (random.once_in(2)) co_await group.co_join(ec);
      if (ec || group.size() == 0) check_errors(group, mine);
    });
    result_.expect_equal("tasks of a group that was left", mine.left(), 0);
  }

  std::atomic<std::int64_t> tasks = 0;  // that have not ended

private:
  struct tree {
    std::atomic<std::int64_t> tasks = 0;
    std::atomic<std::uint64_t> failures = 0;

    std::uint64_t left() const noexcept { return static_cast<std::uint64_t>(tasks.load()); }
  };

  static constexpr std::uint64_t answer = 42;

  // A task of the group, on any worker.
  task_group::child<std::uint64_t> plant(task_group& group, tree& mine, dice& random,
                                         std::size_t depth) {
    const auto fiber_body = [this, &group, &mine, seed = random.seed(), depth] {
      const counted here{mine.tasks}, anywhere{tasks};
      dice own{seed};
      try {
        live(group, own, depth);
      } catch (const planned_failure&) {
        ++mine.failures;
        throw;
      }
      return answer;
    };
    const auto task_body = [this, &mine, seed = random.seed(), depth]() -> co::task<std::uint64_t> {
      const counted here{mine.tasks}, anywhere{tasks};
      dice own{seed};
      try {
        co_await co_live(own, depth);
      } catch (const planned_failure&) {
        ++mine.failures;
        throw;
      }
      co_return answer;
    };
    const bool stackless = random.once_in(2);
    switch (random.below(3)) {
    case 0: return stackless ? group.spawn(task_body) : group.spawn(fiber_body);
    case 1: {
      const std::size_t where = random.below(workers_);
      return stackless ? group.spawn_on(where, task_body) : group.spawn_on(where, fiber_body);
    }
    default: return stackless ? group.spawn_anywhere(task_body) : group.spawn_anywhere(fiber_body);
    }
  }

  void live(task_group& group, dice& random, std::size_t depth) {
    switch (random.below(7)) {
    case 0: throw planned_failure{};
    case 1: return this_fiber::sleep_for(random.short_time());
    case 2: return group.request_cancel();
    case 3: {
      const shield kept_off;
      return this_fiber::sleep_for(random.short_time());
    }
    case 4: event{}.wait_for(random.short_time()); return;
    default:
      if (depth != 0) return grow(random, depth - 1);
      this_fiber::yield();
    }
  }

  co::task<> co_live(dice& random, std::size_t depth) {
    switch (random.below(6)) {
    case 0: throw planned_failure{};
    case 1: co_await co::sleep_for(random.short_time()); break;
    case 2: {
      const shield kept_off;
      co_await co::sleep_for(random.short_time());
      break;
    }
    case 3: {
      event never;
      co_await never.co_wait_for(random.short_time());
      break;
    }
    default:
      if (depth != 0) {
        co_await co_grow(random, depth - 1);
      } else {
        co_await co::yield();
      }
    }
  }

  void check_errors(const task_group& group, const tree& mine) {
    const auto errors = group.errors();
    result_.expect_equal("errors of a group", errors.size(), mine.failures);
    for (const auto& each : errors) result_.expect(is_expected(each), "errors are planned");
    result_.expect(errors.empty() || group.cancel_requested(), "a failure cancels the group");
  }

  void check(const task_group& group, const tree& mine,
             std::vector<task_group::child<std::uint64_t>>& children, std::error_code ec) {
    result_.expect(!ec || ec == errc::cancelled, "a join ends well or is cancelled");
    result_.expect_equal("tasks of a group that was joined", mine.left(), 0);
    result_.expect_equal("sizes of a group that was joined", group.size(), 0);
    check_errors(group, mine);
    std::uint64_t failed = 0;
    for (auto& each : children) {
      result_.expect(each.done(), "a child of a group that was joined has ended");
      if (each.state() == fiber_state::failed) ++failed;
      if (each.state() == fiber_state::completed) {
        result_.expect(each.result() == answer, "a child returns what it returned");
      }
    }
    result_.expect_equal("children that failed", failed, mine.failures);
  }

  outcome& result_;
  const unsigned workers_;
};

// Trees until there are enough, each in a fiber that is cancelled now and then.
void grow_trees(forest& all, dice& random) {
  for (std::size_t i = 10 + random.below(30); i != 0; --i) {
    const std::uint64_t seed = random.seed();
    fiber<> tree;
    if (random.once_in(2)) {
      tree = spawn_anywhere([&all, seed] {
        dice own{seed};
        all.grow(own, 2);
      });
    } else {
      tree = co::spawn_anywhere([&all, seed]() -> co::task<> {
        dice own{seed};
        co_await all.co_grow(own, 2);
      });
    }
    for (std::size_t k = random.below(8); k != 0; --k) this_fiber::yield();
    if (random.once_in(3)) tree.request_cancel();
    if (random.once_in(2)) tree.join();
  }
}

}  // namespace

void fail_in_groups(dice& random, outcome& result) {
  const unsigned workers = 1 + static_cast<unsigned>(random.below(4));
  forest all{result, workers};
  runtime instance{{.workers = workers}};
  instance.run([&] {
    const testing::leak_check nothing_is_left{
        [&](const std::string& what) { result.add_wrong("left over: " + what); }};
    task_group growers;
    for (std::size_t i = 0; i < 4; ++i) {
      growers.spawn_anywhere([&all, seed = random.seed()] {
        dice own{seed};
        grow_trees(all, own);
      });
    }
    growers.join();
  });
  result.expect_equal("tasks left", static_cast<std::uint64_t>(all.tasks.load()), 0);
}

}  // namespace weft::test::stress
