// The timer wheel: when it fires what, and what callbacks may do to it.
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "timer_wheel.hpp"

namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using weft::detail::timer_node;
using weft::detail::timer_wheel;
using time_point = timer_wheel::clock::time_point;

class TimerWheel : public testing::Test {
protected:
  static constexpr time_point epoch{12345678us};

  std::vector<timer_node*> expire(time_point now) {
    std::vector<timer_node*> fired;
    wheel.expire(now, [&](timer_node& node) {
      EXPECT_FALSE(node.armed());
      fired.push_back(&node);
    });
    return fired;
  }

  using nodes = std::vector<timer_node*>;
  timer_wheel wheel{epoch};
  timer_node a, b, c, d;
};

TEST_F(TimerWheel, that_is_empty_never_expires) {
  EXPECT_TRUE(wheel.empty());
  EXPECT_EQ(wheel.next_expiry(), time_point::max());
  EXPECT_EQ(expire(epoch + 1h), nodes{});
  EXPECT_EQ(expire(time_point::max()), nodes{});
}

TEST_F(TimerWheel, rounds_a_deadline_up_to_a_whole_tick) {
  wheel.arm(a, epoch + 4ms + 1ns);
  wheel.arm(b, epoch + 5ms);
  wheel.arm(c, epoch + 5ms + 1ns);

  EXPECT_EQ(wheel.next_expiry(), epoch + 5ms);
  EXPECT_EQ(expire(epoch + 5ms - 1ns), nodes{});
  EXPECT_EQ(expire(epoch + 5ms), (nodes{&a, &b}));
  EXPECT_EQ(expire(epoch + 6ms - 1ns), nodes{});
  EXPECT_EQ(expire(epoch + 6ms), nodes{&c});
}

TEST_F(TimerWheel, counts_what_is_armed) {
  wheel.arm(a, epoch + 4ms);
  wheel.arm(b, epoch + 4h);
  EXPECT_EQ(wheel.size(), 2u);
  wheel.cancel(b);
  EXPECT_EQ(wheel.size(), 1u);
  expire(epoch + 4ms);
  EXPECT_EQ(wheel.size(), 0u);
  EXPECT_TRUE(wheel.empty());
}

TEST_F(TimerWheel, fires_a_past_deadline_at_the_next_expire_even_if_no_time_has_passed) {
  expire(epoch + 1h);

  wheel.arm(a, epoch + 1h);
  wheel.arm(b, epoch + 1s);
  wheel.arm(c, epoch - 1h);
  wheel.arm(d, time_point::min());

  EXPECT_LE(wheel.next_expiry(), epoch + 1h);
  EXPECT_EQ(b.expiry, 3'600'000u);
  EXPECT_EQ(expire(epoch + 1h), (nodes{&a, &b, &c, &d}));
}

TEST_F(TimerWheel, takes_a_clock_that_goes_back_as_one_that_stands_still) {
  expire(epoch + 1h);
  wheel.arm(a, epoch + 1h + 1ms);
  wheel.arm(b, epoch + 1h);

  EXPECT_EQ(expire(epoch + 1min), nodes{&b});
  EXPECT_EQ(expire(time_point::min()), nodes{});
  EXPECT_EQ(expire(epoch + 1h), nodes{});
  EXPECT_EQ(expire(epoch + 1h + 1ms), nodes{&a});
}

TEST_F(TimerWheel, fires_in_order_of_expiry_across_levels) {
  wheel.arm(a, epoch + 5h);
  wheel.arm(b, epoch + 5s);
  wheel.arm(c, epoch + 5ms);
  wheel.arm(d, epoch + 24h * 365 * 5);

  EXPECT_EQ(expire(epoch + 24h * 365 * 6), (nodes{&c, &b, &a, &d}));
}

TEST_F(TimerWheel, fires_in_order_of_arming_within_a_tick_whatever_level_a_node_came_from) {
  wheel.arm(a, epoch + 10s);
  expire(epoch + 9s);
  wheel.arm(b, epoch + 10s);
  expire(epoch + 9999ms);
  wheel.arm(c, epoch + 10s);
  wheel.arm(d, epoch + 10s - 1ns);

  EXPECT_EQ(expire(epoch + 10s), (nodes{&a, &b, &c, &d}));
}

TEST_F(TimerWheel, ignores_the_cancel_of_a_node_that_is_not_armed) {
  wheel.cancel(a);
  wheel.arm(b, epoch + 1ms);
  expire(epoch + 1ms);
  wheel.cancel(b);

  EXPECT_EQ(wheel.size(), 0u);
}

TEST_F(TimerWheel, never_fires_a_cancelled_node_and_forgets_its_expiry) {
  for (const auto after : {milliseconds(1), milliseconds(100), milliseconds(10'000'000)}) {
    wheel.arm(a, epoch + after);
    EXPECT_NE(wheel.next_expiry(), time_point::max());
    wheel.cancel(a);
    EXPECT_FALSE(a.armed());
    EXPECT_EQ(wheel.next_expiry(), time_point::max());
  }
  wheel.arm(a, epoch - 1ms);
  wheel.cancel(a);
  EXPECT_EQ(wheel.next_expiry(), time_point::max());

  EXPECT_EQ(expire(epoch + 24h), nodes{});
}

TEST_F(TimerWheel, cancels_the_first_the_middle_and_the_last_of_a_slot) {
  for (timer_node* victim : {&a, &b, &c}) {
    for (timer_node* node : {&a, &b, &c}) wheel.arm(*node, epoch + 7ms);
    wheel.cancel(*victim);
    EXPECT_EQ(wheel.next_expiry(), epoch + 7ms);
    EXPECT_EQ(wheel.size(), 2u);
  }
  wheel.cancel(a);
  EXPECT_EQ(expire(epoch + 7ms), nodes{&b});
}

TEST_F(TimerWheel, moves_an_armed_node_that_is_armed_again) {
  wheel.arm(a, epoch + 1ms);
  wheel.arm(a, epoch + 3s);
  EXPECT_EQ(wheel.size(), 1u);
  EXPECT_EQ(expire(epoch + 2s), nodes{});
  wheel.arm(a, epoch + 2100ms);
  EXPECT_EQ(expire(epoch + 2100ms), nodes{&a});
}

TEST_F(TimerWheel, lets_a_callback_cancel_nodes_of_its_own_batch) {
  expire(epoch + 1ms);
  wheel.arm(a, epoch);         // overdue
  wheel.arm(b, epoch);         // overdue too
  wheel.arm(c, epoch + 10ms);  // a slot of the same batch
  wheel.arm(d, epoch + 10s);   // another one, at a higher level

  nodes fired;
  wheel.expire(epoch + 1h, [&](timer_node& node) {
    fired.push_back(&node);
    if (&node == &a) {
      wheel.cancel(b);
      wheel.cancel(d);
    }
  });

  EXPECT_EQ(fired, (nodes{&a, &c}));
  EXPECT_TRUE(wheel.empty());
}

TEST_F(TimerWheel, leaves_what_a_callback_arms_to_the_next_batch) {
  wheel.arm(a, epoch + 10ms);
  wheel.arm(b, epoch + 20ms);

  nodes fired;
  wheel.expire(epoch + 1h, [&](timer_node& node) {
    fired.push_back(&node);
    wheel.arm(node, epoch + 10ms);
    if (&node == &a) wheel.arm(c, epoch + 15ms);
    if (&node == &a) wheel.arm(d, epoch + 1h + 1ms);
  });

  EXPECT_EQ(fired, (nodes{&a, &b}));
  EXPECT_EQ(expire(epoch + 1h), (nodes{&a, &c, &b}));
  EXPECT_EQ(expire(epoch + 1h + 1ms), nodes{&d});
}

TEST_F(TimerWheel, lets_a_callback_move_a_node_of_its_own_batch) {
  wheel.arm(a, epoch + 10ms);
  wheel.arm(b, epoch + 10ms);
  wheel.arm(c, epoch + 11ms);

  nodes fired;
  wheel.expire(epoch + 1s, [&](timer_node& node) {
    fired.push_back(&node);
    if (&node == &a) wheel.arm(b, epoch + 2s);
    if (&node == &a) wheel.arm(c, epoch + 1s);
  });

  EXPECT_EQ(fired, nodes{&a});
  EXPECT_EQ(expire(epoch + 2s), (nodes{&c, &b}));
}

TEST_F(TimerWheel, lets_a_callback_free_its_node) {
  auto owned = std::make_unique<timer_node>();
  wheel.arm(*owned, epoch + 10ms);
  wheel.arm(a, epoch + 10ms);

  const std::size_t count = wheel.expire(epoch + 10ms, [&](timer_node& node) {
    if (&node == owned.get()) owned.reset();
  });

  EXPECT_EQ(count, 2u);
}

TEST_F(TimerWheel, tells_a_callback_that_the_rest_of_its_batch_is_due) {
  wheel.arm(a, epoch + 10ms);
  wheel.arm(b, epoch + 10ms);

  std::vector<time_point> next;
  wheel.expire(epoch + 10ms, [&](timer_node&) { next.push_back(wheel.next_expiry()); });

  EXPECT_EQ(next, (std::vector{epoch + 10ms, time_point::max()}));
}

// Were there a step for each tick, this would take longer than any test may.
TEST_F(TimerWheel, jumps_over_centuries) {
  for (int jump = 1; jump <= 25; ++jump) {
    const time_point now = epoch + jump * 24h * 365 * 10;
    wheel.arm(a, now);
    wheel.arm(b, now - 1s);
    EXPECT_EQ(expire(now - 1ns), nodes{&b});
    EXPECT_EQ(expire(now), nodes{&a});
  }
}

TEST_F(TimerWheel, holds_a_deadline_at_the_end_of_time_until_the_end_of_time) {
  wheel.arm(a, time_point::max());
  wheel.arm(b, time_point::max() - 1ns);
  wheel.arm(c, time_point::max() - 1s);

  EXPECT_EQ(expire(time_point::max() - 2s), nodes{});
  EXPECT_EQ(expire(time_point::max() - 900ms), nodes{&c});
  EXPECT_EQ(expire(time_point::max() - 2ns), nodes{});
  EXPECT_EQ(wheel.next_expiry(), time_point::max());
  EXPECT_EQ(expire(time_point::max()), (nodes{&a, &b}));

  wheel.arm(a, time_point::max());
  EXPECT_EQ(expire(time_point::max()), nodes{&a});
}

TEST(TimerWheelEpoch, may_be_any_time_point) {
  for (const time_point epoch : {time_point::min(), time_point{} - 1ns, time_point{},
                                 time_point::max() - 10ms, time_point::max()}) {
    timer_wheel wheel{epoch};
    timer_node first, last;
    wheel.arm(last, time_point::max());
    wheel.arm(first, epoch);
    std::vector<timer_node*> fired;
    const auto record = [&](timer_node& node) { fired.push_back(&node); };

    EXPECT_EQ(wheel.next_expiry(), epoch == time_point::max() ? time_point::max() : epoch);
    while (!wheel.empty()) wheel.expire(wheel.next_expiry(), record);

    ASSERT_EQ(fired.size(), 2u);
    EXPECT_EQ(fired.front(), epoch == time_point::max() ? &last : &first);
  }
}

// The position of a wheel just before the slot of each level in turn rolls over.
class TimerWheelRollover : public testing::TestWithParam<unsigned> {};

TEST_P(TimerWheelRollover, fires_each_node_at_its_tick_and_not_before) {
  const std::uint64_t slot = std::uint64_t{1} << (6 * GetParam());
  const time_point epoch{};
  const auto at = [&](std::uint64_t tick) { return epoch + milliseconds(tick); };
  const std::array<std::uint64_t, 9> ticks{
      slot - 1,        slot,     slot + 1,     slot + slot / 32,    slot + slot / 2,
      slot + slot - 1, 2 * slot, 2 * slot + 1, 2 * slot + slot / 32};

  for (const std::uint64_t tick : ticks) {
    timer_wheel wheel{epoch};
    wheel.expire(at(slot - 2), [](timer_node&) {});
    timer_node node;
    wheel.arm(node, at(tick) - 1ns);
    EXPECT_LE(wheel.next_expiry(), at(tick));
    EXPECT_EQ(wheel.expire(at(tick) - 1ns, [](timer_node&) {}), 0u) << tick;
    EXPECT_EQ(wheel.next_expiry(), at(tick)) << tick;
    EXPECT_EQ(wheel.expire(at(tick), [](timer_node&) {}), 1u) << tick;
  }

  timer_wheel wheel{epoch};
  wheel.expire(at(slot - 2), [](timer_node&) {});
  std::array<timer_node, 9> all;
  for (std::size_t i = all.size(); i-- > 0;) wheel.arm(all[i], at(ticks[i]));
  std::size_t next = 0;
  wheel.expire(at(ticks.back()), [&](timer_node& node) {
    EXPECT_EQ(&node, &all[next]);
    ++next;
  });
  EXPECT_EQ(next, all.size());
}

INSTANTIATE_TEST_SUITE_P(Levels, TimerWheelRollover, testing::Range(1u, 8u));

}  // namespace
