// What every kind of task may rely on when it is cancelled.
#include <chrono>
#include <stop_token>
#include <system_error>
#include <thread>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>

#include "conformance/modes.hpp"

namespace {

using namespace std::chrono_literals;
using namespace weft::test;

template <class Mode>
class Cancellation : public conformance<Mode> {};

TYPED_TEST_SUITE(Cancellation, modes, mode_names);

TYPED_TEST(Cancellation, ends_the_wait_under_way_and_every_one_after_it) {
  this->run([] {
    std::error_code first, second;
    typename TestFixture::task sleeper{[&] {
      TestFixture::sleep_for(1h, first);
      TestFixture::sleep_for(1h, second);
    }};
    sleeper.until_it_waits();

    sleeper.request_cancel();
    sleeper.request_cancel();
    sleeper.join();

    EXPECT_EQ(first, weft::errc::cancelled);
    EXPECT_EQ(second, weft::errc::cancelled);
  });
}

TYPED_TEST(Cancellation, of_an_inner_scope_ends_with_it) {
  this->run([] {
    std::error_code ec;
    {
      weft::cancel_scope inner;
      inner.request_cancel();
      TestFixture::sleep_for(1h, ec);
      EXPECT_EQ(ec, weft::errc::cancelled);
    }

    TestFixture::sleep_for(1ms, ec);

    EXPECT_FALSE(ec);
  });
}

TYPED_TEST(Cancellation, of_an_outer_scope_reaches_the_inner_ones) {
  this->run([] {
    weft::cancel_scope outer;
    const weft::cancel_scope middle;
    const weft::timeout inner{1h};
    std::error_code ec;

    outer.request_cancel();
    TestFixture::sleep_for(1h, ec);

    EXPECT_EQ(ec, weft::errc::cancelled);
    EXPECT_FALSE(inner.cancel_requested());
  });
}

TYPED_TEST(Cancellation, the_outermost_reason_is_the_one_told) {
  this->run([] {
    weft::cancel_scope outer;
    const weft::timeout inner{-1s};
    std::error_code ec;

    TestFixture::sleep_for(1h, ec);
    EXPECT_EQ(ec, weft::errc::timed_out);
    outer.request_cancel();
    TestFixture::sleep_for(1h, ec);

    EXPECT_EQ(ec, weft::errc::cancelled);
  });
}

TYPED_TEST(Cancellation, waits_out_a_shield) {
  this->run([] {
    bool shielded_sleep_ended = false;
    std::error_code ec;
    typename TestFixture::event shielded;
    typename TestFixture::task sleeper{[&] {
      {
        const weft::shield clean_up;
        shielded.set();
        TestFixture::sleep_for(5ms);
        shielded_sleep_ended = true;
      }
      TestFixture::sleep_for(1h, ec);
    }};
    shielded.wait();

    sleeper.request_cancel();
    sleeper.join();

    EXPECT_TRUE(shielded_sleep_ended);
    EXPECT_EQ(ec, weft::errc::cancelled);
  });
}

TYPED_TEST(Cancellation, comes_from_a_stop_token) {
  this->run([] {
    std::stop_source source;
    std::error_code ec;
    typename TestFixture::task sleeper{[&] {
      const weft::cancel_scope scope{source.get_token()};
      TestFixture::sleep_for(1h, ec);
    }};
    sleeper.until_it_waits();

    source.request_stop();
    sleeper.join();

    EXPECT_EQ(ec, weft::errc::cancelled);
  });
}

// Nor what need not wait.
TYPED_TEST(Cancellation, by_a_thread_that_has_gone_lets_nothing_through) {
  this->run([] {
    for (const bool by_token : {false, true}) {
      typename TestFixture::semaphore available{1};
      typename TestFixture::template channel<int> values{1};
      typename TestFixture::event happened;
      happened.set();
      std::error_code of_acquire, of_send, of_wait;
      {
        std::stop_source source;
        weft::cancel_scope scope{source.get_token()};
        std::thread{[&] {
          by_token ? void(source.request_stop()) : scope.request_cancel();
        }}.join();
        available.acquire(of_acquire);
        values.send(1, of_send);
        happened.wait(of_wait);
      }
      EXPECT_EQ(of_acquire, weft::errc::cancelled);
      EXPECT_EQ(of_send, weft::errc::cancelled);
      EXPECT_EQ(of_wait, weft::errc::cancelled);
      EXPECT_TRUE(available.try_acquire());
      EXPECT_TRUE(values.try_send(2)) << "it is not full";
    }
  });
}

TYPED_TEST(Cancellation, by_a_thread_counts_neither_in_a_shield_nor_after_the_scope) {
  this->run([] {
    std::error_code ec;
    typename TestFixture::semaphore available{3};
    {
      weft::cancel_scope scope;
      std::thread{[&] { scope.request_cancel(); }}.join();
      {
        const weft::shield clean_up;
        available.acquire(ec);
        EXPECT_FALSE(ec);
      }
      available.acquire(ec);
      EXPECT_EQ(ec, weft::errc::cancelled);
    }

    available.acquire(ec);

    EXPECT_FALSE(ec);
  });
}

TYPED_TEST(Cancellation, throws_where_no_error_code_is_given) {
  this->run([] {
    weft::cancel_scope scope;
    scope.request_cancel();

    try {
      TestFixture::sleep_for(1h);
      ADD_FAILURE() << "the sleep ended";
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code(), std::errc::operation_canceled);
    }
  });
}

}  // namespace
