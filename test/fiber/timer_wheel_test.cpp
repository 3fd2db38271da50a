#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "timer_wheel.hpp"

namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using weft::detail::timer_node;
using weft::detail::timer_wheel;
using clock_type = timer_wheel::clock;
using time_point = clock_type::time_point;

constexpr std::size_t levels = 8;

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

/// Returns and prints a seed, each time another; WEFT_TEST_SEED repeats a run that failed.
std::uint64_t fresh_seed() {
  const char* const wanted = std::getenv("WEFT_TEST_SEED");
  const std::uint64_t seed = wanted ? std::strtoull(wanted, nullptr, 10) : std::random_device{}();
  std::cout << "seed " << seed << " (WEFT_TEST_SEED)\n";
  return seed;
}

// A wheel beside a std::multimap that says what it has to do.
class random_schedule {
public:
  explicit random_schedule(std::uint64_t seed)
      : random_(seed), epoch_(milliseconds(pick(1'000'000'000)) + 1ns * pick(1'000'000)),
        wheel_(epoch_), nodes_(1 + pick(2'000)), expected_(nodes_.size()) {
    jump(pick_duration());
  }

  void run(int steps) {
    for (int step = 0; step < steps && !testing::Test::HasFailure(); ++step) {
      act();
      if (pick(4) == 0) jump(pick_duration());
      check();
    }
    while (!testing::Test::HasFailure() && !wheel_.empty()) {
      now_ = std::max(now_, wheel_.next_expiry());
      calm_ = true;
      expire();
      check();
    }
  }

private:
  struct entry {
    std::multimap<std::uint64_t, std::size_t>::iterator place;
    bool armed = false;
    std::uint64_t batch = 0;  // the one in which it was armed, 0 for none
  };

  std::uint64_t pick(std::uint64_t bound) {
    return std::uniform_int_distribution<std::uint64_t>(0, bound - 1)(random_);
  }

  // Of every order of magnitude alike, from microseconds to days, and rarely up to 70 years.
  clock_type::duration pick_duration() {
    const std::uint64_t most = pick(64) == 0 ? 62 : 50;
    return std::chrono::nanoseconds(pick(std::uint64_t{1} << (12 + pick(most - 12))));
  }

  // Mostly ahead, often on the same few ticks, sometimes past.
  time_point pick_deadline() {
    switch (pick(8)) {
    case 0: return now_ - pick_duration() / 4;
    case 1: return now_;
    case 2: return now_ + milliseconds(pick(3));
    case 3: return epoch_ + std::chrono::floor<std::chrono::minutes>(now_ - epoch_) + 1min;
    default: return now_ + pick_duration() / 4;
    }
  }

  void arm(std::size_t id, time_point deadline) {
    forget(id);
    wheel_.arm(nodes_[id], deadline);
    const auto due = std::chrono::ceil<milliseconds>(deadline - epoch_).count();
    const auto tick = due < 0 ? 0 : static_cast<std::uint64_t>(due);
    expected_[id] = {model_.emplace(std::max(tick, horizon_), id), true, batch_};
  }

  void cancel(std::size_t id) {
    forget(id);
    wheel_.cancel(nodes_[id]);
    EXPECT_FALSE(nodes_[id].armed());
  }

  void forget(std::size_t id) {
    if (expected_[id].armed) model_.erase(expected_[id].place);
    expected_[id].armed = false;
  }

  void act() {
    for (std::uint64_t count = pick(8); count-- > 0;) {
      const std::size_t id = pick(nodes_.size());
      if (pick(3) == 0) {
        cancel(id);
      } else {
        arm(id, pick_deadline());
      }
    }
  }

  void jump(clock_type::duration by) {
    // Beyond this the deadlines would leave the range of time_point, which has tests of its own.
    if (now_ - epoch_ > 24h * 365 * 100) return;
    now_ += by;
    expire();
  }

  bool due(const std::pair<const std::uint64_t, std::size_t>& item) const {
    return item.first <= horizon_ && expected_[item.second].batch != batch_;
  }

  void expire() {
    batch_ = ++batches_;
    horizon_ = static_cast<std::uint64_t>(std::chrono::floor<milliseconds>(now_ - epoch_).count());
    wheel_.expire(now_, [&](timer_node& node) { fired(node); });
    EXPECT_TRUE(model_.empty() || !due(*model_.begin())) << "left behind";
    batch_ = 0;
  }

  void fired(timer_node& node) {
    const auto id = static_cast<std::size_t>(&node - nodes_.data());
    EXPECT_FALSE(node.armed());
    ASSERT_FALSE(model_.empty());
    ASSERT_TRUE(due(*model_.begin()));
    ASSERT_EQ(model_.begin()->second, id);
    forget(id);
    if (!calm_ && pick(2) == 0) act();
    if (!calm_ && pick(4) == 0) arm(id, pick_deadline());
  }

  void check() {
    EXPECT_EQ(wheel_.size(), model_.size());
    EXPECT_EQ(wheel_.empty(), model_.empty());
    const time_point next = wheel_.next_expiry();
    if (model_.empty()) {
      EXPECT_EQ(next, time_point::max());
      return;
    }
    const std::uint64_t first = model_.begin()->first;
    EXPECT_LE(next, epoch_ + milliseconds(first));
    if (first <= horizon_) return;
    EXPECT_GT(next, epoch_ + milliseconds(horizon_)) << "would wake for nothing";
    if (first / 64 == horizon_ / 64) {
      EXPECT_EQ(next, epoch_ + milliseconds(first));
    }
  }

  std::mt19937_64 random_;
  time_point epoch_;
  time_point now_ = epoch_;
  timer_wheel wheel_;
  std::vector<timer_node> nodes_;
  std::vector<entry> expected_;
  std::multimap<std::uint64_t, std::size_t> model_;  // equal keys stay in order of insertion
  std::uint64_t horizon_ = 0;
  std::uint64_t batches_ = 0;
  std::uint64_t batch_ = 0;  // the one that is being fired, 0 between batches
  bool calm_ = false;        // callbacks arm nothing, so that the wheel runs empty
};

TEST(TimerWheelProperty, does_what_a_multimap_says_under_a_random_schedule) {
  const std::uint64_t first = fresh_seed();
  for (std::uint64_t seed = first; seed < first + 24 && !HasFailure(); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    random_schedule{seed}.run(5'000);
  }
}

TEST(TimerWheelProperty, wakes_a_sleeper_at_most_once_a_level_for_a_node) {
  std::mt19937_64 random(fresh_seed());
  const time_point epoch{};

  for (int round = 0; round < 10'000; ++round) {
    timer_wheel wheel{epoch};
    wheel.expire(epoch + std::chrono::nanoseconds(random() >> (2 + random() % 60)),
                 [](timer_node&) {});
    timer_node node;
    wheel.arm(node, epoch + std::chrono::nanoseconds(random() >> (2 + random() % 60)));
    std::size_t wakes = 0;
    for (; !wheel.empty(); ++wakes) wheel.expire(wheel.next_expiry(), [](timer_node&) {});
    ASSERT_LE(wakes, levels) << "round " << round;
  }
}

TEST(TimerWheelProperty, holds_a_million_nodes) {
  std::mt19937_64 random(fresh_seed());
  const time_point epoch{};
  timer_wheel wheel{epoch};
  std::vector<timer_node> nodes(1'000'000);

  for (timer_node& node : nodes) wheel.arm(node, epoch + milliseconds(random() % 3'600'000));
  EXPECT_EQ(wheel.size(), nodes.size());
  std::size_t cancelled = 0;
  for (std::size_t i = 0; i < nodes.size(); i += 3, ++cancelled) wheel.cancel(nodes[i]);

  std::size_t fired = 0;
  std::uint64_t latest = 0;
  while (!wheel.empty()) {
    const time_point now = wheel.next_expiry();
    fired += wheel.expire(now, [&](timer_node& node) {
      if (node.expiry < latest) ADD_FAILURE() << "out of order";
      latest = node.expiry;
      if (epoch + milliseconds(latest) != now && latest != 0) ADD_FAILURE() << "not at its tick";
    });
  }
  EXPECT_EQ(fired, nodes.size() - cancelled);
}

}  // namespace
