// Handles of fibers: the destructor, moving, detaching, outliving the runtime.
#include <chrono>
#include <csignal>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>

#include "support/runtime_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using weft::spawn;
using weft::this_fiber::sleep_for;
using weft::this_fiber::yield;

class Handle : public weft::test::runtime_test {};

using HandleDeath = Handle;

TEST_F(Handle, an_empty_one_stands_for_no_fiber) {
  weft::fiber<int> none;

  EXPECT_FALSE(none.joinable());
  EXPECT_FALSE(static_cast<bool>(none));
  EXPECT_TRUE(none.done());
  EXPECT_EQ(none.get_id(), weft::fiber_id{});
  EXPECT_EQ(none.name(), "");
  none.request_cancel();
  none.detach();
}

TEST_F(Handle, its_destructor_cancels_the_fiber_and_waits_for_its_end) {
  run([] {
    std::error_code seen;
    bool ended = false;
    {
      auto child = spawn([&] {
        sleep_for(24h, seen);
        for (int i = 0; i < 10; ++i) yield();
        ended = true;
      });
      yield();
    }

    EXPECT_EQ(seen, weft::errc::cancelled);
    EXPECT_TRUE(ended);
  });
}

TEST_F(Handle, its_destructor_waits_even_in_a_cancelled_fiber) {
  run([] {
    bool ended = false;
    auto parent = spawn([&] {
      auto child = spawn([&] {
        std::error_code ec;
        sleep_for(24h, ec);
        for (int i = 0; i < 10; ++i) yield();
        ended = true;
      });
      sleep_for(24h);
    });
    yield();
    yield();

    parent.request_cancel();
    parent.join();

    EXPECT_TRUE(ended);
  });
}

TEST_F(Handle, its_destructor_waits_while_an_exception_unwinds) {
  run([] {
    bool ended = false;
    try {
      auto child = spawn([&] {
        std::error_code ec;
        sleep_for(24h, ec);
        yield();
        ended = true;
      });
      yield();
      throw std::runtime_error("unwinding");
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "unwinding");
    }

    EXPECT_TRUE(ended);
  });
}

TEST_F(Handle, move_assignment_cancels_and_joins_the_former_fiber) {
  run([] {
    std::error_code seen;
    auto handle = spawn([&] { sleep_for(24h, seen); });
    yield();

    handle = spawn([] {});

    EXPECT_EQ(seen, weft::errc::cancelled);
    handle.join();
  });
}

TEST_F(Handle, move_assignment_to_itself_changes_nothing) {
  run([] {
    auto handle = spawn([] { return 1; });
    auto& same = handle;

    handle = std::move(same);

    ASSERT_TRUE(handle.joinable());
    handle.join();
    EXPECT_EQ(handle.result(), 1);
  });
}

TEST_F(Handle, a_moved_one_stands_for_the_same_fiber) {
  run([] {
    auto first = spawn([] { return 1; });
    const auto id = first.get_id();

    auto second = std::move(first);

    EXPECT_FALSE(first.joinable());
    EXPECT_EQ(second.get_id(), id);
    second.join();
    EXPECT_EQ(second.result(), 1);
  });
}

TEST_F(Handle, detach_lets_the_fiber_run_on_without_it) {
  run([] {
    bool ended = false;
    {
      auto child = spawn([&] {
        yield();
        ended = true;
      });
      child.detach();
      EXPECT_FALSE(child.joinable());
    }
    EXPECT_FALSE(ended);

    while (!ended) yield();
    yield();
  });
}

TEST_F(Handle, a_fiber_that_has_ended_may_be_detached) {
  run([] {
    auto child = spawn([] { return std::string(1'000, 'x'); });
    child.join();

    child.detach();

    EXPECT_FALSE(child.joinable());
  });
}

TEST_F(Handle, may_be_emptied_by_two_fibers_at_once) {
  run([] {
    auto shared = spawn([] { sleep_for(24h); });
    yield();
    auto other = spawn([&] { shared = {}; });

    shared = {};
    other.join();

    EXPECT_FALSE(shared.joinable());
  });
}

TEST_F(Handle, may_be_given_another_fiber_by_two_at_once) {
  run([] {
    const auto body = [] { sleep_for(24h); };
    weft::fiber<> shared = spawn(body);
    yield();
    auto other = spawn([&] { shared = spawn(body); });

    shared = spawn(body);
    other.join();
    EXPECT_EQ(weft::test::live_fibers(), 1u);

    shared = {};
    EXPECT_EQ(weft::test::live_fibers(), 0u);
  });
}

TEST_F(Handle, may_be_detached_while_another_fiber_assigns_to_it) {
  run([] {
    auto shared = spawn([] {
      std::error_code ec;
      sleep_for(24h, ec);
      yield();
    });
    yield();
    auto other = spawn([&] { shared.detach(); });

    shared = {};
    other.join();

    EXPECT_FALSE(shared.joinable());
  });
}

TEST_F(Handle, it_may_outlive_the_runtime) {
  std::optional<weft::runtime> worker{std::in_place};
  weft::fiber<std::string> value;
  weft::fiber<> failure;
  worker->run([&] {
    value = spawn({.name = "survivor"}, [] { return std::string(1'000, 'x'); });
    failure = spawn([] { throw std::runtime_error("kept"); });
    value.join();
    failure.join();
  });

  worker.reset();

  EXPECT_TRUE(value.done());
  EXPECT_EQ(value.name(), "survivor");
  EXPECT_EQ(value.result(), std::string(1'000, 'x'));
  value.join();
  value.request_cancel();
  EXPECT_THROW(failure.result(), std::runtime_error);
}

TEST_F(Handle, many_may_outlive_the_runtime_and_go_in_any_order) {
  std::vector<weft::fiber<int>> handles;
  {
    weft::runtime worker;
    worker.run([&] {
      for (int i = 0; i < 2'000; ++i) handles.push_back(spawn([i] { return i; }));
      for (auto& each : handles) each.join();
    });
  }

  for (std::size_t i = 0; i < handles.size(); i += 2) handles[i] = {};
  for (std::size_t i = 1; i < handles.size(); i += 2) {
    EXPECT_EQ(handles[i].result(), static_cast<int>(i));
  }
}

TEST_F(HandleDeath, a_fiber_that_destroys_its_own_handle_ends_the_process) {
  EXPECT_EXIT(
      {
        enter_death_test();
        weft::runtime worker;
        worker.run([] {
          weft::fiber<> self;
          self = spawn({.name = "suicidal"}, [&] { self = {}; });
          yield();
        });
      },
      testing::KilledBySignal(SIGABRT), "destroyed its own handle.*\"suicidal\"");
}

}  // namespace
