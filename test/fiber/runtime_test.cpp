// weft::runtime: what run() returns, how it ends, and that runtimes do not get in each other's way.
#include <atomic>
#include <csignal>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>

#include "support/runtime_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using weft::runtime;

class Runtime : public weft::test::runtime_test {};

using RuntimeDeath = Runtime;

TEST_F(Runtime, run_returns_what_the_main_function_returns) {
  runtime worker;

  EXPECT_EQ(worker.run([] { return std::string("result"); }), "result");
}

TEST_F(Runtime, run_rethrows_what_the_main_function_throws) {
  runtime worker;

  EXPECT_THROW(worker.run([] { throw std::out_of_range("thrown by main"); }), std::out_of_range);
}

TEST_F(Runtime, run_rethrows_what_is_no_std_exception) {
  runtime worker;

  EXPECT_THROW(worker.run([] { throw 4711; }), int);
}

TEST_F(Runtime, a_main_function_may_return_nothing) {
  runtime worker;
  bool ran = false;

  worker.run([&] { ran = true; });

  EXPECT_TRUE(ran);
}

TEST_F(Runtime, a_main_function_may_return_a_reference) {
  runtime worker;
  int value = 1;

  int& returned = worker.run([&]() -> int& { return value; });

  EXPECT_EQ(&returned, &value);
}

TEST_F(Runtime, a_main_function_may_return_what_can_only_be_moved) {
  runtime worker;

  EXPECT_EQ(*worker.run([] { return std::make_unique<int>(7); }), 7);
}

TEST_F(Runtime, a_main_function_may_be_what_can_only_be_moved) {
  runtime worker;

  EXPECT_EQ(worker.run([value = std::make_unique<int>(7)] { return *value; }), 7);
}

int a_plain_function() { return 3; }

TEST_F(Runtime, a_main_function_may_be_a_plain_function) {
  runtime worker;

  EXPECT_EQ(worker.run(a_plain_function), 3);
}

TEST_F(Runtime, the_main_function_is_destroyed_before_run_returns) {
  runtime worker;
  auto kept = std::make_shared<int>(1);

  worker.run([kept] {});

  EXPECT_EQ(kept.use_count(), 1);
}

TEST_F(Runtime, run_may_be_called_again) {
  runtime worker;
  int spawned = 0;

  for (int i = 0; i < 3; ++i) {
    worker.run([&] { weft::spawn([&] { ++spawned; }).join(); });
  }

  EXPECT_EQ(spawned, 3);
}

TEST_F(Runtime, run_may_be_called_again_after_an_exception) {
  runtime worker;

  EXPECT_THROW(worker.run([] { throw std::runtime_error("first"); }), std::runtime_error);
  EXPECT_EQ(worker.run([] { return 5; }), 5);
}

TEST_F(Runtime, one_runtime_may_follow_another) {
  for (int i = 0; i < 3; ++i) {
    runtime worker;
    EXPECT_EQ(worker.run([] { return 1; }), 1);
  }
}

TEST_F(Runtime, two_runtimes_may_take_turns_on_one_thread) {
  runtime first;
  runtime second;
  int done = 0;
  const auto work = [&] {
    auto child = weft::spawn([&] { ++done; });
    weft::this_fiber::sleep_for(1ms);
    child.join();
  };

  for (runtime* worker : {&first, &second, &first, &second}) worker->run(work);

  EXPECT_EQ(done, 4);
}

TEST_F(Runtime, two_runtimes_run_at_once_on_two_threads) {
  // Neither can end before both have begun.
  std::atomic<int> begun{0};
  const auto work = [&begun] {
    runtime worker;
    worker.run([&begun] {
      ++begun;
      while (begun.load() < 2) weft::this_fiber::sleep_for(1ms);
      std::vector<weft::fiber<>> children;
      for (int i = 0; i < 100; ++i) {
        children.push_back(weft::spawn([] { weft::this_fiber::yield(); }));
      }
      for (auto& child : children) child.join();
    });
  };

  std::thread other{work};
  work();
  other.join();

  EXPECT_EQ(begun.load(), 2);
}

TEST_F(Runtime, the_main_fiber_runs_on_the_stack_of_the_caller) {
  char on_the_stack = 0;
  const auto here = reinterpret_cast<std::uintptr_t>(&on_the_stack);
  std::uintptr_t main_fiber = 0;
  std::uintptr_t other_fiber = 0;
  const auto distance_from_here = [here](std::uintptr_t there) {
    return there > here ? there - here : here - there;
  };

  run([&] {
    char local = 0;
    main_fiber = reinterpret_cast<std::uintptr_t>(&local);
    weft::spawn([&] {
      char childs_local = 0;
      other_fiber = reinterpret_cast<std::uintptr_t>(&childs_local);
    }).join();
  });

  if (weft::test::under_asan) GTEST_SKIP() << "locals may lie on AddressSanitizer's fake stack";
  EXPECT_LT(distance_from_here(main_fiber), 64u * 1024);
  EXPECT_GT(distance_from_here(other_fiber), 64u * 1024);
}

TEST_F(Runtime, the_main_fiber_is_called_main) {
  run([] { EXPECT_EQ(weft::this_fiber::name(), "main"); });
}

TEST_F(Runtime, detached_fibers_are_cancelled_and_waited_for_at_the_end) {
  std::error_code seen;
  bool unwound = false;
  runtime worker;

  worker.run([&] {
    weft::spawn([&] {
      weft::this_fiber::sleep_for(24h, seen);
      weft::this_fiber::yield();
      unwound = true;
    }).detach();
    weft::this_fiber::yield();
  });

  EXPECT_EQ(seen, weft::errc::cancelled);
  EXPECT_TRUE(unwound);
}

TEST_F(Runtime, a_detached_fiber_that_has_not_started_never_runs_but_is_destroyed) {
  bool ran = false;
  auto kept = std::make_shared<int>(1);
  runtime worker;

  worker.run([&] { weft::spawn([&ran, kept] { ran = true; }).detach(); });

  EXPECT_FALSE(ran);
  EXPECT_EQ(kept.use_count(), 1);
}

TEST_F(Runtime, fibers_whose_handles_live_outside_are_ended_too) {
  weft::fiber<> handle;
  {
    runtime worker;
    worker.run([&] {
      handle = weft::spawn([] { weft::this_fiber::sleep_for(24h); });
      weft::this_fiber::yield();
    });
  }

  EXPECT_TRUE(handle.done());
  EXPECT_THROW(handle.result(), std::system_error);
}

TEST_F(Runtime, what_a_fiber_spawns_during_the_end_never_runs) {
  bool ran = false;
  runtime worker;

  worker.run([&] {
    weft::spawn([&] {
      std::error_code ec;
      weft::this_fiber::sleep_for(24h, ec);
      weft::spawn([&] { ran = true; }).detach();
    }).detach();
    weft::this_fiber::yield();
  });

  EXPECT_FALSE(ran);
}

TEST_F(Runtime, the_main_functions_exception_comes_after_the_fibers_have_ended) {
  bool unwound = false;
  runtime worker;

  EXPECT_THROW(worker.run([&] {
    weft::spawn([&] {
      std::error_code ec;
      weft::this_fiber::sleep_for(24h, ec);
      unwound = true;
    }).detach();
    weft::this_fiber::yield();
    throw std::runtime_error("main");
  }),
               std::runtime_error);
  EXPECT_TRUE(unwound);
}

TEST_F(Runtime, request_stop_cancels_the_main_fiber_while_it_waits) {
  runtime worker;
  std::thread other;
  std::error_code seen;

  worker.run([&] {
    other = std::thread([&] { worker.request_stop(); });
    weft::this_fiber::sleep_for(24h, seen);
  });
  other.join();

  EXPECT_EQ(seen, weft::errc::cancelled);
}

TEST_F(Runtime, request_stop_reaches_a_main_fiber_that_only_yields) {
  runtime worker;
  std::thread other{[&] { worker.request_stop(); }};

  worker.run([] {
    while (!weft::this_fiber::cancel_requested()) weft::this_fiber::yield();
  });
  other.join();
}

TEST_F(Runtime, request_stop_cancels_no_other_fiber) {
  runtime worker;
  std::error_code childs;

  worker.run([&] {
    auto child = weft::spawn([&] { weft::this_fiber::sleep_for(2ms, childs); });
    worker.request_stop();
    std::error_code ec;
    weft::this_fiber::sleep_for(24h, ec);
    EXPECT_EQ(ec, weft::errc::cancelled);
    while (!child.done()) weft::this_fiber::yield();
  });

  EXPECT_EQ(childs, std::error_code{});
}

TEST_F(Runtime, request_stop_before_run_cancels_the_next_run_only) {
  runtime worker;
  std::error_code seen;
  worker.request_stop();

  worker.run([&] { weft::this_fiber::sleep_for(24h, seen); });
  EXPECT_EQ(seen, weft::errc::cancelled);

  worker.run([&] { weft::this_fiber::sleep_for(1ms, seen); });
  EXPECT_EQ(seen, std::error_code{});
}

TEST_F(Runtime, request_stop_that_comes_too_late_for_its_run_is_not_for_the_next) {
  runtime worker;
  std::error_code seen;

  worker.run([&] { worker.request_stop(); });
  worker.run([&] { weft::this_fiber::sleep_for(1ms, seen); });

  EXPECT_EQ(seen, std::error_code{});
}

TEST_F(Runtime, request_stop_during_the_end_does_no_harm) {
  runtime worker;

  worker.run([&] {
    weft::spawn([&] {
      std::error_code ec;
      weft::this_fiber::sleep_for(24h, ec);
      worker.request_stop();
      for (int i = 0; i < 200; ++i) weft::this_fiber::yield();
    }).detach();
    weft::this_fiber::yield();
  });

  EXPECT_EQ(worker.run([] { return 1; }), 1);
}

TEST_F(Runtime, a_stack_size_over_1_GiB_is_an_error) {
  try {
    runtime worker{{.stack_size = (std::size_t{1} << 30) + 1}};
    FAIL() << "it was accepted";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::invalid_argument);
    EXPECT_NE(std::string(error.what()).find("1 GiB"), std::string::npos);
  }
}

TEST_F(Runtime, run_works_inside_a_catch_block) {
  try {
    throw std::runtime_error("outer");
  } catch (...) {
    run([] {
      weft::spawn([] { EXPECT_EQ(std::current_exception(), nullptr); }).join();
      try {
        throw;
      } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(), "outer");
      }
    });
  }
}

TEST_F(RuntimeDeath, a_run_on_a_thread_that_runs_one_ends_the_process_naming_the_fiber) {
  EXPECT_EXIT(
      {
        enter_death_test();
        runtime outer;
        outer.run([] {
          runtime inner;
          weft::spawn({.name = "nesting"}, [&] { inner.run([] {}); }).join();
        });
      },
      testing::KilledBySignal(SIGABRT), "runtime::run was called on a thread .*\"nesting\"");
}

TEST_F(RuntimeDeath, a_run_of_a_runtime_that_runs_on_another_thread_ends_the_process) {
  enter_death_test();
  EXPECT_EXIT(
      {
        weft::runtime instance{{.workers = 2}};
        instance.run([&] {
          std::thread other{[&] { instance.run([] {}); }};
          other.join();
        });
      },
      testing::KilledBySignal(SIGABRT), "runtime::run was called while it runs");
}

TEST_F(RuntimeDeath, a_fiber_that_ignores_its_cancellation_for_5_s_ends_the_process_naming_it) {
  EXPECT_EXIT(
      {
        enter_death_test();
        runtime worker;
        worker.run([] {
          weft::spawn({.name = "stubborn"}, [] {
            for (;;) {
              std::error_code ignored;
              weft::this_fiber::sleep_for(24h, ignored);
            }
          }).detach();
          weft::this_fiber::yield();
        });
      },
      testing::KilledBySignal(SIGABRT), "ignore for 5 s .*\"stubborn\"");
}

TEST_F(RuntimeDeath, an_operation_of_a_fiber_on_a_thread_that_runs_none_ends_the_process) {
  EXPECT_EXIT(
      {
        enter_death_test();
        weft::spawn([] {}).detach();
      },
      testing::KilledBySignal(SIGABRT), "on a thread that runs no fibers");
}

}  // namespace
