// The end of fiber locals: when and where destructors run, in which order, and that they may wait.
#include <atomic>
#include <climits>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>

#include "on_both.hpp"
#include "on_destruction.hpp"
#include "players.hpp"
#include "scheduler.hpp"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

namespace {

using namespace std::chrono_literals;
using weft::errc;
using weft::fiber_local;
using weft::spawn;
using weft::spawn_on;
using weft::test::on_destruction;
using weft::this_fiber::sleep_for;
using weft::this_fiber::yield;

class FiberLocalEnd : public weft::test::on_both_test {};

// ---- the end -----------------------------------------------------------------------------------

TEST_F(FiberLocalEnd, values_are_destroyed_in_the_reverse_order_of_their_making) {
  std::vector<int> order;
  const fiber_local<on_destruction> first{
      [&] { return on_destruction{[&] { order.push_back(1); }}; }};
  const fiber_local<on_destruction> second{
      [&] { return on_destruction{[&] { order.push_back(2); }}; }};
  // Complete only when the one it needs is.
  const fiber_local<on_destruction> third{[&] {
    second.get();
    return on_destruction{[&] { order.push_back(3); }};
  }};
  on_both([&] {
    order.clear();
    first.get();
    third.get();
  });

  EXPECT_EQ(order, (std::vector{3, 2, 1}));
  run([&] {
    order.clear();
    spawn([&] {
      second.get();
      first.get();
    }).join();
    EXPECT_EQ(order, (std::vector{1, 2}));
  });
}

TEST_F(FiberLocalEnd,
       they_are_destroyed_on_their_fiber_after_its_function_and_before_a_join_returns) {
  run(
      [] {
        for (unsigned worker = 0; worker < 2; ++worker) {
          weft::fiber_id destroyed_on{};
          std::thread::id destroyed_by;
          bool captured_is_gone = false;
          bool was_gone = false;
          const fiber_local<on_destruction> local{[&] {
            return on_destruction{[&] {
              destroyed_on = weft::this_fiber::get_id();
              destroyed_by = std::this_thread::get_id();
              was_gone = captured_is_gone;
            }};
          }};
          auto captured = std::make_unique<on_destruction>([&] { captured_is_gone = true; });
          auto child = spawn_on(worker, [&local, captured = std::move(captured)] {
            local.get();
            return std::this_thread::get_id();
          });
          child.join();

          EXPECT_EQ(destroyed_on, child.get_id());
          EXPECT_EQ(destroyed_by, child.result());
          EXPECT_TRUE(was_gone);
        }
      },
      {.workers = 2});
}

TEST_F(FiberLocalEnd, of_the_main_fiber_are_destroyed_when_its_function_has_ended) {
  bool destroyed = false;
  weft::fiber_id on{};
  weft::fiber_id main_id{};
  const fiber_local<on_destruction> local{[&] {
    return on_destruction{[&] {
      sleep_for(1ms);
      on = weft::this_fiber::get_id();
      destroyed = true;
    }};
  }};
  run([&] {
    main_id = weft::this_fiber::get_id();
    local.get();
    EXPECT_FALSE(destroyed);
  });

  EXPECT_TRUE(destroyed);
  EXPECT_EQ(on, main_id);
}

TEST_F(FiberLocalEnd, destructors_may_wait_while_others_run) {
  run([] {
    weft::mutex lock;
    std::unique_lock held{lock};
    std::vector<std::string> steps;
    const fiber_local<on_destruction> local{[&] {
      return on_destruction{[&] {
        steps.emplace_back("waits");
        const std::lock_guard hold{lock};
        sleep_for(1ms);
        spawn([] { yield(); }).join();
        steps.emplace_back("destroyed");
      }};
    }};
    auto child = spawn([&] { local.get(); });
    yield();

    EXPECT_EQ(steps, std::vector<std::string>{"waits"});
    EXPECT_EQ(child.state(), weft::fiber_state::running);
    held.unlock();
    child.join();
    EXPECT_EQ(steps, (std::vector<std::string>{"waits", "destroyed"}));
  });
}

TEST_F(FiberLocalEnd, destructors_of_a_cancelled_fiber_run_and_their_waits_are_cancelled) {
  run([] {
    std::error_code seen;
    const fiber_local<on_destruction> local{
        [&] { return on_destruction{[&] { sleep_for(24h, seen); }}; }};
    auto child = spawn([&] {
      local.get();
      sleep_for(24h);
    });
    yield();

    child.request_cancel();
    child.join();

    EXPECT_EQ(seen, errc::cancelled);
    EXPECT_EQ(child.state(), weft::fiber_state::cancelled);
  });
}

TEST_F(FiberLocalEnd, a_request_ends_the_wait_of_a_destructor_and_the_fiber_has_completed) {
  run([] {
    std::error_code seen;
    const fiber_local<on_destruction> local{
        [&] { return on_destruction{[&] { sleep_for(24h, seen); }}; }};
    auto child = spawn([&] { local.get(); });
    for (int i = 0; i < 3; ++i) yield();
    EXPECT_FALSE(child.done());

    child.request_cancel();
    child.join();

    EXPECT_EQ(seen, errc::cancelled);
    EXPECT_EQ(child.state(), weft::fiber_state::completed);
  });
}

TEST_F(FiberLocalEnd, destructors_run_when_an_exception_has_ended_the_fiber) {
  run([] {
    int destroyed = 0;
    const fiber_local<on_destruction> local{[&] { return on_destruction{[&] { ++destroyed; }}; }};
    auto child = spawn([&] {
      local.get();
      throw std::out_of_range("ended");
    });
    child.join();

    EXPECT_EQ(destroyed, 1);
    EXPECT_THROW(child.result(), std::out_of_range);
  });
}

TEST_F(FiberLocalEnd, destructors_see_the_context_values_of_their_fiber) {
  run([] {
    const weft::context_value<int> key;
    int seen = 0;
    const fiber_local<on_destruction> local{
        [&] { return on_destruction{[&] { seen = key.get(); }}; }};
    const weft::context_binding bound{key, 7};
    spawn([&] { local.get(); }).join();

    EXPECT_EQ(seen, 7);
  });
}

TEST_F(FiberLocalEnd, a_destructor_of_the_result_of_a_detached_fiber_may_make_one) {
  run([] {
    int destroyed = 0;
    const fiber_local<on_destruction> local{[&] { return on_destruction{[&] { ++destroyed; }}; }};
    spawn([&] { return std::make_unique<on_destruction>([&] { local.get(); }); }).detach();
    yield();

    EXPECT_EQ(destroyed, 1);
  });
}

TEST_F(FiberLocalEnd, destructors_on_a_plain_thread_run_when_it_ends_and_may_wait) {
  bool destroyed = false;
  std::thread::id by;
  std::thread::id thread;
  const fiber_local<on_destruction> local{[&] {
    return on_destruction{[&] {
      sleep_for(1ms);
      by = std::this_thread::get_id();
      destroyed = true;
    }};
  }};
  std::thread other{[&] {
    thread = std::this_thread::get_id();
    local.get();
    EXPECT_FALSE(destroyed);
  }};
  other.join();

  EXPECT_TRUE(destroyed);
  EXPECT_EQ(by, thread);
}

TEST_F(FiberLocalEnd, a_thread_local_destroyed_after_those_of_its_thread_may_use_one_again) {
  std::atomic<int> made = 0;
  std::atomic<int> destroyed = 0;
  const fiber_local<on_destruction> local{[&] {
    ++made;
    return on_destruction{[&] { ++destroyed; }};
  }};
  std::thread other{[&] {
    // Made first, so destroyed last.
    thread_local std::optional<on_destruction> late;
    late.emplace([&] { local.get(); });
    local.get();
  }};
  other.join();

  EXPECT_EQ(made, 2);
  EXPECT_EQ(destroyed, 2);
}

// ---- making them again -------------------------------------------------------------------------

TEST_F(FiberLocalEnd, a_destructor_that_uses_one_already_destroyed_makes_it_again) {
  int made = 0;
  int destroyed = 0;
  const fiber_local<on_destruction> newest{[&] {
    ++made;
    return on_destruction{[&] { ++destroyed; }};
  }};
  const fiber_local<on_destruction> oldest{[&] { return on_destruction{[&] { newest.get(); }}; }};
  on_both([&] {
    oldest.get();
    newest.get();
  });

  EXPECT_EQ(made, 4);
  EXPECT_EQ(destroyed, 4);
}

TEST_F(FiberLocalEnd, destructors_that_make_each_other_again_for_ever_are_given_up_with_one_line) {
  int made = 0;
  int destroyed = 0;
  int unrelated = 0;
  const fiber_local<on_destruction> other{[&] { return on_destruction{[&] { ++unrelated; }}; }};
  std::optional<fiber_local<on_destruction>> local;
  local.emplace([&] {
    ++made;
    return on_destruction{[&] {
      ++destroyed;
#ifdef __SANITIZE_ADDRESS__
      __lsan::ScopedDisabler one_is_left;
#endif
      local->get();
    }};
  });
  run([&] {
    spawn({.name = "phoenix"}, [&] {
      other.get();
      local->get();
    }).join();
  });

  EXPECT_EQ(destroyed, PTHREAD_DESTRUCTOR_ITERATIONS);
  EXPECT_EQ(made, PTHREAD_DESTRUCTOR_ITERATIONS + 1);
  EXPECT_EQ(unrelated, 1);
  const auto lines = take_diagnostics();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_NE(lines[0].find("\"phoenix\""), std::string::npos) << lines[0];
  EXPECT_NE(lines[0].find("leaves 1 fiber_local"), std::string::npos) << lines[0];
}

}  // namespace
