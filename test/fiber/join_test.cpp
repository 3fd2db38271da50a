// Joining fibers: what it waits for, who may do it, what ends the wait.
#include <chrono>
#include <cstddef>
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

}  // namespace
