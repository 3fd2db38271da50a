// Handles of fibers: join, the destructor, moving, detaching, outliving the runtime.
#include <atomic>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>
#include <weft/fiber/detail/wait.hpp>

#include "support/runtime_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using weft::spawn;
using weft::this_fiber::sleep_for;
using weft::this_fiber::yield;

class Join : public weft::test::runtime_test {
protected:
  // A fiber that ends once `gate_is_open_`.
  weft::fiber<> spawn_behind_gate() {
    return spawn([this] {
      while (!gate_is_open_) yield();
    });
  }

  bool gate_is_open_ = false;
};

using Handle = Join;
using HandleDeath = Join;

TEST_F(Join, it_waits_for_the_end_of_the_fiber) {
  run([] {
    bool ended = false;
    auto child = spawn([&] {
      for (int i = 0; i < 10; ++i) yield();
      ended = true;
    });

    child.join();

    EXPECT_TRUE(ended);
    EXPECT_TRUE(child.done());
  });
}

TEST_F(Join, it_returns_at_once_for_a_fiber_that_has_ended) {
  run([] {
    auto child = spawn([] {});
    yield();
    ASSERT_TRUE(child.done());

    child.join();
    child.join();

    EXPECT_TRUE(child.joinable());
  });
}

TEST_F(Join, joining_fibers_that_have_ended_gives_way_to_others) {
  run([] {
    auto ended = spawn([] {});
    yield();
    bool other_ran = false;
    auto other = spawn([&] { other_ran = true; });

    for (int i = 0; i < 64; ++i) ended.join();

    EXPECT_TRUE(other_ran);
  });
}

TEST_F(Join, it_waits_for_the_fiber_that_the_handle_stood_for) {
  run([this] {
    auto handle = spawn_behind_gate();
    bool joined = false;
    auto joiner = spawn([&] {
      handle.join();
      joined = true;
    });
    yield();

    auto first = std::move(handle);
    handle = spawn([] { sleep_for(24h); });
    gate_is_open_ = true;
    joiner.join();

    EXPECT_TRUE(joined);
    EXPECT_FALSE(handle.done());
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

TEST_F(Join, several_fibers_may_join_one_and_wake_in_the_order_in_which_they_came) {
  run([this] {
    auto child = spawn_behind_gate();
    std::vector<int> order;
    std::vector<weft::fiber<>> joiners;

    for (int i = 0; i < 10; ++i) {
      joiners.push_back(spawn([&, i] {
        child.join();
        order.push_back(i);
      }));
    }
    yield();
    gate_is_open_ = true;
    for (auto& joiner : joiners) joiner.join();

    EXPECT_EQ(order, (std::vector{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  });
}

TEST_F(Join, joining_oneself_would_be_a_deadlock) {
  run([] {
    weft::fiber<> self;
    std::error_code ec;
    bool thrown = false;
    self = spawn([&] {
      self.join(ec);
      try {
        self.join();
      } catch (const std::system_error& error) {
        thrown = error.code() == std::errc::resource_deadlock_would_occur;
        EXPECT_NE(std::string(error.what()).find("itself"), std::string::npos) << error.what();
      }
    });

    self.join();

    EXPECT_EQ(ec, std::errc::resource_deadlock_would_occur);
    EXPECT_TRUE(thrown);
  });
}

TEST_F(Join, joining_an_empty_handle_is_invalid_argument) {
  weft::fiber<> none;
  std::error_code ec;

  none.join(ec);

  EXPECT_EQ(ec, std::errc::invalid_argument);
  try {
    none.join();
    FAIL() << "nothing was thrown";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::invalid_argument);
    EXPECT_NE(std::string(error.what()).find("empty handle"), std::string::npos) << error.what();
  }
}

TEST_F(Join, a_cancelled_joiner_gives_up_and_the_fiber_runs_on) {
  run([this] {
    auto child = spawn_behind_gate();
    std::error_code ec;
    auto joiner = spawn([&] { child.join(ec); });
    yield();

    joiner.request_cancel();
    joiner.join();

    EXPECT_EQ(ec, weft::errc::cancelled);
    EXPECT_FALSE(child.done());
    gate_is_open_ = true;
    child.join();
    EXPECT_NO_THROW(child.result());
  });
}

TEST_F(Join, one_cancelled_joiner_of_several_does_not_disturb_the_others) {
  run([this] {
    auto child = spawn_behind_gate();
    std::vector<std::error_code> outcome(3);
    std::vector<weft::fiber<>> joiners;
    for (std::size_t i = 0; i < 3; ++i) {
      joiners.push_back(spawn([&, i] { child.join(outcome[i]); }));
    }
    yield();

    joiners[1].request_cancel();
    joiners[1].join();
    gate_is_open_ = true;
    for (auto& joiner : joiners) joiner.join();

    EXPECT_EQ(outcome[0], std::error_code{});
    EXPECT_EQ(outcome[1], weft::errc::cancelled);
    EXPECT_EQ(outcome[2], std::error_code{});
  });
}

TEST_F(Join, the_failure_of_the_fiber_is_not_that_of_the_join) {
  run([] {
    auto child = spawn([] { throw std::runtime_error("its own"); });
    std::error_code ec;

    child.join(ec);

    EXPECT_EQ(ec, std::error_code{});
    EXPECT_NO_THROW(child.join());
    EXPECT_THROW(child.result(), std::runtime_error);
  });
}

TEST_F(Join, the_cancellation_of_the_fiber_is_not_that_of_the_join) {
  run([] {
    auto child = spawn([] { sleep_for(24h); });
    yield();
    child.request_cancel();
    std::error_code ec;

    child.join(ec);

    EXPECT_EQ(ec, std::error_code{});
    EXPECT_THROW(child.result(), std::system_error);
  });
}

TEST_F(Join, it_survives_that_the_handle_is_detached_or_moved_meanwhile) {
  run([this] {
    auto detached = spawn_behind_gate();
    auto moved = spawn_behind_gate();
    std::error_code first = weft::errc::eof;
    std::error_code second = weft::errc::eof;
    auto joiner_of_detached = spawn([&] { detached.join(first); });
    auto joiner_of_moved = spawn([&] { moved.join(second); });
    yield();

    detached.detach();
    const auto elsewhere = std::move(moved);
    gate_is_open_ = true;
    joiner_of_detached.join();
    joiner_of_moved.join();

    EXPECT_EQ(first, std::error_code{});
    EXPECT_EQ(second, std::error_code{});
    EXPECT_TRUE(elsewhere.done());
  });
}

// ---- the handle --------------------------------------------------------------------------------

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

// ---- whoever is last ---------------------------------------------------------------------------

// Its destructor may wait, so it must run where something can: on a fiber, or on a plain thread.
struct notes_its_end {
  std::atomic<int>* astray;

  explicit notes_its_end(std::atomic<int>& count) : astray(&count) {}

  notes_its_end(notes_its_end&& other) noexcept : astray(std::exchange(other.astray, nullptr)) {}

  notes_its_end& operator=(notes_its_end&&) = delete;

  ~notes_its_end() {
    if (astray == nullptr) return;
    const bool on_fiber = weft::this_fiber::get_id() != weft::fiber_id{};
    if (weft::detail::on_worker() != on_fiber) ++*astray;
    if (on_fiber) weft::this_fiber::yield();
  }
};

TEST_F(Join, a_result_is_destroyed_where_it_may_wait_whoever_is_the_last_to_know_it) {
  std::atomic<int> astray = 0;
  run([&] {
    std::atomic<bool> enough = false;
    std::atomic<weft::fiber<notes_its_end>*> shared = nullptr;
    std::atomic<bool> is_ending = false;
    // Gives the handle up at about the moment at which the fiber ends, a little later each time.
    std::thread dropper{[&] {
      for (int round = 0; !enough; ++round) {
        while (!is_ending.exchange(false) && !enough) std::this_thread::yield();
        if (enough) return;
        for (int i = round % 256; i > 0; --i) __builtin_ia32_pause();
        while (shared == nullptr) std::this_thread::yield();
        shared.load()->detach();
        shared = nullptr;
      }
    }};

    // Handshakes take long on a machine with other work.
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds{500};
    for (int round = 0; round < 30'000 && std::chrono::steady_clock::now() < end; ++round) {
      auto handle = weft::spawn([&] {
        is_ending = true;
        return notes_its_end{astray};
      });
      shared = &handle;
      while (shared != nullptr || weft::test::live_fibers() != 0) weft::this_fiber::yield();
    }
    enough = true;
    dropper.join();
  });

  EXPECT_EQ(astray, 0);
}

// Another worker's request to cancel it is on its way when the fiber ends, and its handle is gone.
TEST_F(Join, a_result_is_destroyed_on_its_fiber_though_a_cancellation_is_on_its_way) {
  std::atomic<int> astray = 0;
  run(
      [&] {
        std::atomic<bool> runs = false;
        std::atomic<bool> is_cancelled = false;
        auto handle = weft::spawn_on(1, [&] {
          runs = true;
          while (!is_cancelled) std::this_thread::yield();
          return notes_its_end{astray};
        });
        while (!runs) std::this_thread::yield();

        handle.request_cancel();
        handle.detach();
        is_cancelled = true;

        // It runs on after the fiber that has been detached, on the same worker.
        weft::spawn_on(1, [] { weft::this_fiber::yield(); }).join();
      },
      {.workers = 2});

  EXPECT_EQ(astray, 0);
}

}  // namespace
