// Task groups: what the first failure does, where errors go, what a cancelled owner does.
#include <atomic>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>
#include <weft/fiber/testing.hpp>

#include "players.hpp"
#include "sleepers.hpp"
#include "support/runtime_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using weft::errc;
using weft::fiber_state;
using weft::spawn;
using weft::task_group;
using weft::test::long_sleep;
using weft::test::sleepers;
using weft::test::wait_until;
using weft::this_fiber::sleep_for;
using weft::this_fiber::yield;

class TaskGroupCancel : public weft::test::runtime_test {
protected:
  // What one diagnostics line each says of the errors that nobody has retrieved.
  void expect_unhandled(const std::vector<std::string>& reasons) {
    const auto lines = take_diagnostics();
    ASSERT_EQ(lines.size(), reasons.size());
    for (std::size_t i = 0; i < lines.size(); ++i) {
      EXPECT_NE(lines[i].find(reasons[i]), std::string::npos) << lines[i];
    }
  }
};

std::vector<std::string> reasons_of(const task_group& group) {
  std::vector<std::string> reasons;
  for (const std::exception_ptr& each : group.errors()) {
    try {
      std::rethrow_exception(each);
    } catch (const std::exception& error) {
      reasons.emplace_back(error.what());
    }
  }
  return reasons;
}

// ---- failures ----------------------------------------------------------------------------------

TEST_F(TaskGroupCancel, the_first_failure_cancels_the_others_and_is_thrown_after_all_have_ended) {
  for (unsigned failing_on = 0; failing_on < 2; ++failing_on) {
    run(
        [&] {
          sleepers others;
          task_group group;
          others.spawn_into(group, 6, 3);
          group.spawn_on(failing_on, [] { throw std::out_of_range("the first"); });

          EXPECT_THROW(group.join(), std::out_of_range);

          EXPECT_EQ(others.ended(), 6);
          EXPECT_TRUE(group.cancel_requested());
        },
        {.workers = 3});
  }
}

TEST_F(TaskGroupCancel, all_failures_are_reachable_in_the_order_in_which_they_came) {
  run([] {
    task_group group;
    auto last = group.spawn([] {
      static_cast<void>(long_sleep());
      yield();
      throw std::runtime_error("third");
    });
    group.spawn([] {
      static_cast<void>(long_sleep());
      throw std::runtime_error("second");
    });
    group.spawn([] { throw std::runtime_error("first"); });

    try {
      group.join();
      ADD_FAILURE() << "nothing was thrown";
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "first");
    }

    EXPECT_EQ(reasons_of(group), (std::vector<std::string>{"first", "second", "third"}));
    EXPECT_THROW(last.result(), std::runtime_error);
  });
}

TEST_F(TaskGroupCancel, failures_are_seen_before_the_last_fiber_has_ended) {
  run([] {
    task_group group;
    group.spawn([] { EXPECT_EQ(long_sleep(), errc::cancelled); });
    group.spawn([] { throw std::runtime_error("early"); });
    yield();

    EXPECT_EQ(reasons_of(group), std::vector<std::string>{"early"});
    EXPECT_EQ(group.size(), 1u);
  });
}

TEST_F(TaskGroupCancel, every_join_throws_the_first_failure) {
  run([] {
    task_group group;
    group.spawn([] { throw std::out_of_range("again"); });

    EXPECT_THROW(group.join(), std::out_of_range);
    EXPECT_THROW(group.join(), std::out_of_range);
  });
}

TEST_F(TaskGroupCancel, join_with_an_error_code_reports_only_its_own_wait) {
  run([this] {
    {
      task_group group;
      group.spawn([] { throw std::out_of_range("theirs"); });
      std::error_code ec = errc::eof;

      group.join(ec);

      EXPECT_EQ(ec, std::error_code{});
    }
    expect_unhandled({"theirs"});
  });
}

TEST_F(TaskGroupCancel, a_cancellation_that_nobody_asked_for_is_a_failure) {
  run([] {
    task_group group;
    auto other = group.spawn([] { sleep_for(24h); });
    group.spawn([] { throw std::system_error(errc::cancelled, "of its own"); });

    EXPECT_THROW(group.join(), std::system_error);

    EXPECT_EQ(group.errors().size(), 1u);
    EXPECT_EQ(other.state(), fiber_state::cancelled);
  });
}

TEST_F(TaskGroupCancel, an_error_that_nobody_saw_is_reported_once_when_the_group_goes) {
  run([this] {
    {
      task_group group;
      for (const char* reason : {"never seen", "nor this"}) {
        group.spawn([reason] {
          yield();
          throw std::runtime_error(reason);
        });
      }
      wait_until([&] { return group.size() == 0; });
      EXPECT_TRUE(take_diagnostics().empty());
    }
    expect_unhandled({"never seen", "nor this"});
  });
}

TEST_F(TaskGroupCancel, what_join_has_thrown_is_seen_and_the_others_are_not) {
  run([this] {
    {
      task_group group;
      for (const char* reason : {"thrown by join", "the other"}) {
        group.spawn([reason] {
          yield();
          throw std::runtime_error(reason);
        });
      }
      EXPECT_THROW(group.join(), std::runtime_error);
    }
    expect_unhandled({"the other"});
  });
}

TEST_F(TaskGroupCancel, an_error_seen_by_its_child_is_not_reported) {
  run([] {
    task_group group;
    auto child = group.spawn([] { throw std::out_of_range("seen"); });
    child.join();
    EXPECT_THROW(child.result(), std::out_of_range);
  });
}

// ---- cancelling --------------------------------------------------------------------------------

// Runs `owner` on a fiber that is cancelled while its `child` sleeps. Returns how that has ended.
template <class Owner>
fiber_state state_once_cancelled(const sleepers& child, Owner&& owner) {
  auto running = spawn(owner);
  for (int i = 0; i < 5; ++i) yield();
  EXPECT_EQ(child.started(), 1);
  EXPECT_FALSE(running.done());

  running.request_cancel();
  running.join();

  return running.state();
}

TEST_F(TaskGroupCancel, request_cancel_reaches_all_workers_and_comes_from_any_task) {
  for (const auto where : weft::test::places) {
    run(
        [&] {
          sleepers all;
          task_group group;
          all.spawn_into(group, 10, 2);
          weft::test::players canceller;
          canceller.start(where, [&] { group.request_cancel(); });

          EXPECT_NO_THROW(group.join());

          EXPECT_TRUE(group.cancel_requested());
          EXPECT_EQ(all.ended(), 10);
          canceller.join();
        },
        {.workers = 2});
  }
}

TEST_F(TaskGroupCancel, what_is_spawned_into_a_cancelled_one_never_runs) {
  run(
      [] {
        std::atomic<bool> ran = false;
        task_group group;
        group.request_cancel();

        auto here = group.spawn([&] { ran = true; });
        auto afar = group.spawn_on(1, [&] { ran = true; });
        EXPECT_NO_THROW(group.join());

        EXPECT_FALSE(ran);
        EXPECT_EQ(here.state(), fiber_state::cancelled);
        EXPECT_EQ(afar.state(), fiber_state::cancelled);
      },
      {.workers = 2});
}

TEST_F(TaskGroupCancel, a_cancelled_caller_of_join_cancels_waits_and_then_says_so) {
  run(
      [] {
        sleepers all;
        std::error_code seen;
        int ended_at_join = 0;
        auto owner = spawn([&] {
          task_group group;
          all.spawn_into(group, 4, 2);
          group.join(seen);
          ended_at_join = all.ended();
          EXPECT_EQ(group.size(), 0u);
        });
        wait_until([&] { return all.started() == 4; });
        for (int i = 0; i < 5; ++i) yield();

        owner.request_cancel();
        owner.join();

        EXPECT_EQ(seen, errc::cancelled);
        EXPECT_EQ(ended_at_join, 4);
        EXPECT_EQ(owner.state(), fiber_state::completed);
      },
      {.workers = 2});
}

TEST_F(TaskGroupCancel, the_throwing_join_says_it_too_and_the_caller_counts_as_cancelled) {
  run([] {
    sleepers one;
    const auto state = state_once_cancelled(one, [&] {
      task_group group;
      one.spawn_into(group);
      group.join();
    });

    EXPECT_EQ(state, fiber_state::cancelled);
    EXPECT_EQ(one.ended(), 1);
  });
}

TEST_F(TaskGroupCancel, is_no_failure_of_a_child_whose_own_deadline_comes_in_the_same_tick) {
  weft::testing::virtual_clock time;
  run(
      [] {
        weft::semaphore none{0};
        task_group group;
        auto child = group.spawn([&] {
          none.try_acquire_for(10ms);
          weft::this_fiber::sleep_for(24h);
        });
        weft::this_fiber::sleep_for(10ms);  // begins before the wait of the child, and ends before

        child.request_cancel();
        group.join();

        EXPECT_EQ(child.state(), weft::fiber_state::cancelled);
      },
      {.clock = &time});
}

TEST_F(TaskGroupCancel, the_deadline_of_a_scope_around_join_cancels_and_is_timed_out) {
  run([] {
    sleepers one;
    task_group group;
    one.spawn_into(group);
    const weft::timeout limit{1ms};
    std::error_code ec;

    group.join(ec);

    EXPECT_EQ(ec, errc::timed_out);
    EXPECT_EQ(one.ended(), 1);
  });
}

TEST_F(TaskGroupCancel, join_in_a_cancelled_scope_fails_before_it_looks) {
  run([] {
    task_group group;
    weft::cancel_scope scope;
    scope.request_cancel();
    std::error_code ec;

    group.join(ec);

    EXPECT_EQ(ec, errc::cancelled);
    EXPECT_TRUE(group.cancel_requested());
  });
}

TEST_F(TaskGroupCancel, the_cancellation_of_the_caller_comes_before_a_failure_which_is_kept) {
  run([] {
    std::vector<std::string> reasons;
    auto owner = spawn([&] {
      task_group group;
      group.spawn([] {
        static_cast<void>(long_sleep());
        throw std::runtime_error("while ending");
      });
      yield();
      std::error_code seen;
      try {
        group.join();
      } catch (const std::system_error& error) {
        seen = error.code();
      }
      EXPECT_EQ(seen, errc::cancelled);
      reasons = reasons_of(group);
    });
    for (int i = 0; i < 5; ++i) yield();

    owner.request_cancel();
    owner.join();

    EXPECT_EQ(reasons, std::vector<std::string>{"while ending"});
  });
}

TEST_F(TaskGroupCancel, the_destructor_in_a_cancelled_caller_cancels_and_waits) {
  run([] {
    sleepers one;
    state_once_cancelled(one, [&] {
      task_group group;
      one.spawn_into(group);
      EXPECT_EQ(long_sleep(), errc::cancelled);
    });

    EXPECT_EQ(one.ended(), 1);
  });
}

TEST_F(TaskGroupCancel, a_caller_cancelled_while_the_destructor_waits_cancels_too) {
  run([] {
    sleepers one;
    const auto state = state_once_cancelled(one, [&] {
      task_group group;
      one.spawn_into(group);
    });

    EXPECT_EQ(one.ended(), 1);
    EXPECT_EQ(state, fiber_state::completed);
  });
}

TEST_F(TaskGroupCancel, an_exception_that_leaves_its_block_cancels_and_waits) {
  run([] {
    sleepers one;
    EXPECT_THROW(
        {
          task_group group;
          one.spawn_into(group);
          throw std::out_of_range("unwinding");
        },
        std::out_of_range);
    EXPECT_EQ(one.ended(), 1);
  });
}

TEST_F(TaskGroupCancel, one_that_begins_during_an_unwinding_is_left_as_any_other) {
  run([] {
    int ended = 0;
    struct cleaner {
      int& ended;

      ~cleaner() {
        task_group group;
        group.spawn([this] {
          for (int i = 0; i < 5; ++i) sleep_for(10us);
          ++ended;
        });
      }
    };

    try {
      const cleaner leaving{ended};
      throw std::out_of_range("unwinding");
    } catch (const std::out_of_range&) {
      EXPECT_EQ(ended, 1);
    }
  });
}

TEST_F(TaskGroupCancel, the_end_of_main_cancels_its_fibers_through_their_owner) {
  std::atomic<int> ended = 0;
  weft::runtime worker{{.workers = 2}};
  worker.run([&] {
    std::atomic<int> started = 0;
    spawn([&] {
      task_group group;
      for (unsigned i = 0; i < 4; ++i) {
        group.spawn_on(i % 2, [&] {
          ++started;
          static_cast<void>(long_sleep());
          ++ended;
        });
      }
    }).detach();
    wait_until([&] { return started == 4; });
  });

  EXPECT_EQ(ended, 4);
}

// It has been woken by the end of the last child, and has not run yet, when a child comes and the
// cancellation.
TEST_F(TaskGroupCancel, a_join_that_has_to_wait_again_hears_of_a_cancellation_in_between) {
  run([] {
    weft::task_group group;
    weft::event go;
    weft::event never;
    std::error_code joined;
    (void)group.spawn([&] { go.wait(); });
    auto owner = weft::spawn([&] { group.join(joined); });
    weft::testing::all_blocked();
    go.set();
    while (group.size() != 0) weft::this_fiber::yield();
    ASSERT_FALSE(owner.done());
    (void)group.spawn([&] { never.wait(); });

    owner.request_cancel();
    owner.join();

    EXPECT_EQ(joined, weft::errc::cancelled);
    EXPECT_EQ(group.size(), 0u);
  });
}

}  // namespace
