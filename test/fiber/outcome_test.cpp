// How far a fiber has come and what came of it: state() and exception() of its handle.
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>

#include "players.hpp"
#include "support/runtime_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using weft::errc;
using weft::fiber_state;
using weft::spawn;
using weft::spawn_on;
using weft::test::wait_until;
using weft::this_fiber::sleep_for;
using weft::this_fiber::yield;

class Outcome : public weft::test::runtime_test {};

template <class Call>
std::error_code error_of(Call&& call) {
  try {
    std::forward<Call>(call)();
  } catch (const std::system_error& error) {
    return error.code();
  }
  return {};
}

std::error_code error_in(const std::exception_ptr& exception) {
  return error_of([&] { std::rethrow_exception(exception); });
}

TEST_F(Outcome, a_fiber_is_pending_then_running_then_completed) {
  run([] {
    bool may_end = false;
    auto child = spawn([&] {
      while (!may_end) yield();
    });

    EXPECT_EQ(child.state(), fiber_state::pending);
    yield();
    EXPECT_EQ(child.state(), fiber_state::running);
    may_end = true;
    child.join();
    EXPECT_EQ(child.state(), fiber_state::completed);
  });
}

TEST_F(Outcome, a_parked_fiber_is_running) {
  run([] {
    auto child = spawn([] { sleep_for(24h); });
    yield();

    EXPECT_EQ(child.state(), fiber_state::running);
  });
}

TEST_F(Outcome, a_fiber_that_errc_cancelled_leaves_after_a_request_is_cancelled) {
  run([] {
    auto child = spawn([] { sleep_for(24h); });
    yield();

    child.request_cancel();
    child.join();

    EXPECT_EQ(child.state(), fiber_state::cancelled);
    EXPECT_EQ(error_in(child.exception()), errc::cancelled);
  });
}

TEST_F(Outcome, a_fiber_cancelled_before_it_starts_is_cancelled) {
  run([] {
    auto child = spawn([] {});

    child.request_cancel();
    child.join();

    EXPECT_EQ(child.state(), fiber_state::cancelled);
    EXPECT_EQ(error_in(child.exception()), errc::cancelled);
  });
}

TEST_F(Outcome, a_fiber_that_returns_in_spite_of_a_request_has_completed) {
  run([] {
    auto child = spawn([] {
      std::error_code ec;
      sleep_for(24h, ec);
      return 7;
    });
    yield();

    child.request_cancel();
    child.join();

    EXPECT_EQ(child.state(), fiber_state::completed);
    EXPECT_EQ(child.result(), 7);
  });
}

TEST_F(Outcome, any_other_exception_is_a_failure_after_a_request_too) {
  run([] {
    auto plain = spawn([] { throw std::out_of_range("plain"); });
    auto asked = spawn([] {
      std::error_code ec;
      sleep_for(24h, ec);
      throw std::out_of_range("asked");
    });
    yield();
    asked.request_cancel();
    plain.join();
    asked.join();

    EXPECT_EQ(plain.state(), fiber_state::failed);
    EXPECT_EQ(asked.state(), fiber_state::failed);
    EXPECT_THROW(std::rethrow_exception(plain.exception()), std::out_of_range);
    EXPECT_THROW(std::rethrow_exception(asked.exception()), std::out_of_range);
  });
}

TEST_F(Outcome, a_cancellation_that_nobody_asked_for_is_a_failure_and_stays_one) {
  run([] {
    auto child = spawn([] { throw std::system_error(errc::cancelled); });
    child.join();

    EXPECT_EQ(child.state(), fiber_state::failed);
    child.request_cancel();
    EXPECT_EQ(child.state(), fiber_state::failed);
    EXPECT_EQ(error_in(child.exception()), errc::cancelled);
  });
}

TEST_F(Outcome, a_cancelled_scope_of_its_own_is_no_request) {
  run([] {
    auto child = spawn([] {
      weft::cancel_scope scope;
      scope.request_cancel();
      sleep_for(24h);
    });
    child.join();

    EXPECT_EQ(child.state(), fiber_state::failed);
    EXPECT_NE(child.exception(), nullptr);
  });
}

TEST_F(Outcome, a_fiber_that_has_returned_has_thrown_nothing) {
  run([] {
    auto child = spawn([] {});
    child.join();

    EXPECT_EQ(child.exception(), nullptr);
  });
}

TEST_F(Outcome, the_exception_before_the_end_is_operation_in_progress) {
  run([] {
    auto child = spawn([] {});

    EXPECT_EQ(error_of([&] { child.exception(); }), std::errc::operation_in_progress);
    child.join();
  });
}

TEST_F(Outcome, an_empty_handle_has_none) {
  const weft::fiber<> none;

  EXPECT_EQ(error_of([&] { none.state(); }), std::errc::invalid_argument);
  EXPECT_EQ(error_of([&] { none.exception(); }), std::errc::invalid_argument);
}

TEST_F(Outcome, it_is_seen_by_other_workers_and_by_plain_threads) {
  run(
      [] {
        for (int round = 0; round < 200; ++round) {
          auto child = spawn_on(1, [] { throw std::out_of_range("afar"); });
          const auto watch = [&] {
            while (child.state() != fiber_state::failed) std::this_thread::yield();
            EXPECT_THROW(std::rethrow_exception(child.exception()), std::out_of_range);
          };
          if (round % 2 == 0) {
            watch();
          } else {
            std::thread{watch}.join();
          }
        }
      },
      {.workers = 2});
}

// What is seen of a fiber must never go back, whatever the request meets.
TEST_F(Outcome, it_is_final_once_the_fiber_has_ended_while_requests_race_with_the_end) {
  weft::test::seeded random{weft::test::new_seed()};
  run(
      [&] {
        for (int i = 0; i < weft::test::stress_operations / 10; ++i) {
          const unsigned turns = random.below(4);
          auto child = spawn_on(1, [turns] {
            for (unsigned turn = 0; turn < turns; ++turn) sleep_for(0ms);
            throw std::system_error(errc::cancelled);
          });
          for (unsigned turn = random.below(20); turn > 0; --turn) yield();
          child.request_cancel();
          wait_until([&] { return child.done(); });
          const fiber_state first = child.state();
          EXPECT_TRUE(first == fiber_state::cancelled || first == fiber_state::failed);
          child.request_cancel();
          ASSERT_EQ(child.state(), first);
          EXPECT_NE(child.exception(), nullptr);
        }
      },
      {.workers = 2});
}

}  // namespace
