// What every kind of task may rely on when it sleeps and sets deadlines.
#include <chrono>
#include <optional>
#include <system_error>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>

#include "conformance/modes.hpp"

namespace {

using namespace std::chrono_literals;
using namespace weft::test;

template <class Mode>
class Timers : public conformance<Mode> {};

TYPED_TEST_SUITE(Timers, modes, mode_names);

TYPED_TEST(Timers, a_sleep_lasts_at_least_as_long_as_it_says) {
  this->run([] {
    const auto start = weft::clock::now();

    TestFixture::sleep_for(3ms);

    EXPECT_GE(weft::clock::now() - start, 3ms);
  });
}

TYPED_TEST(Timers, a_sleep_of_nothing_or_less_only_yields) {
  this->run([] {
    TestFixture::sleep_for(0s);
    TestFixture::sleep_for(-1h);
    TypeParam::sleep_until(weft::clock::now() - 1h);
  });
}

TYPED_TEST(Timers, a_sleep_of_more_than_the_clock_counts_has_no_end) {
  this->run([] {
    std::error_code ec;
    typename TestFixture::task sleeper{
        [&] { TestFixture::sleep_for(std::chrono::hours::max(), ec); }};
    sleeper.until_it_waits();
    EXPECT_FALSE(sleeper.ended());

    sleeper.request_cancel();
    sleeper.join();

    EXPECT_EQ(ec, weft::errc::cancelled);
  });
}

TYPED_TEST(Timers, a_deadline_ends_a_sleep) {
  this->run([] {
    std::error_code ec;
    const weft::timeout limit{2ms};

    TestFixture::sleep_for(1h, ec);

    EXPECT_EQ(ec, weft::errc::timed_out);
  });
}

// Sleeps for an hour within two deadlines, one in the other.
template <class Mode>
void expect_nearer_ends_a_sleep(weft::clock::duration outer_limit,
                                weft::clock::duration inner_limit) {
  std::error_code ec;
  const weft::timeout outer{outer_limit};
  const weft::timeout inner{inner_limit};

  Mode::sleep_for(1h, ec);

  EXPECT_EQ(ec, weft::errc::timed_out);
  EXPECT_EQ(outer.expired(), outer_limit < inner_limit);
  EXPECT_EQ(inner.expired(), inner_limit < outer_limit);
}

TYPED_TEST(Timers, the_nearest_of_nested_deadlines_ends_a_sleep) {
  this->run([] { expect_nearer_ends_a_sleep<TypeParam>(1h, 2ms); });
}

TYPED_TEST(Timers, an_outer_deadline_ends_a_sleep_within_a_later_one) {
  this->run([] { expect_nearer_ends_a_sleep<TypeParam>(2ms, 1h); });
}

TYPED_TEST(Timers, a_deadline_that_is_moved_away_ends_nothing) {
  this->run([] {
    weft::timeout limit{1h};
    limit.expire_after(1ms);
    limit.expire_after(1h);

    TestFixture::sleep_for(3ms);

    EXPECT_FALSE(limit.expired());
  });
}

TYPED_TEST(Timers, a_deadline_in_the_past_fails_every_wait) {
  this->run([] {
    const weft::timeout limit{-1s};
    std::error_code ec;

    TestFixture::sleep_for(1h, ec);
    EXPECT_EQ(ec, weft::errc::timed_out);
    TestFixture::sleep_for(0s, ec);

    EXPECT_EQ(ec, weft::errc::timed_out);
  });
}

TYPED_TEST(Timers, with_timeout_throws_when_the_time_is_over) {
  this->run([] {
    EXPECT_EQ(weft::with_timeout(1h, [] { return 7; }), 7);

    try {
      weft::with_timeout(2ms, [] { TestFixture::sleep_for(1h); });
      ADD_FAILURE() << "the sleep ended";
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code(), weft::errc::timed_out);
    }
  });
}

TYPED_TEST(Timers, move_on_after_returns_nothing_when_the_time_is_over) {
  this->run([] {
    EXPECT_EQ(weft::move_on_after(1h, [] { return 7; }), std::optional{7});

    const auto late = weft::move_on_after(2ms, [] {
      TestFixture::sleep_for(1h);
      return 7;
    });

    EXPECT_EQ(late, std::nullopt);
  });
}

TYPED_TEST(Timers, a_shield_keeps_an_outer_deadline_away) {
  this->run([] {
    const weft::timeout limit{-1s};
    std::error_code ec;

    {
      const weft::shield clean_up;
      TestFixture::sleep_for(1ms, ec);
      EXPECT_FALSE(ec);
    }
    TestFixture::sleep_for(1ms, ec);

    EXPECT_EQ(ec, weft::errc::timed_out);
  });
}

}  // namespace
