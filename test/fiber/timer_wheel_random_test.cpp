// The timer wheel under random schedules, beside a model that says what it has to do.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "support/seed.hpp"
#include "timer_wheel.hpp"

namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using weft::detail::timer_node;
using weft::detail::timer_wheel;
using weft::test::fresh_seed;
using clock_type = timer_wheel::clock;
using time_point = clock_type::time_point;

constexpr std::size_t levels = 8;

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

  // Of the model: what comes `first` of a tick was armed too late.
  static std::uint64_t key(std::uint64_t tick, bool first) { return 2 * tick + (first ? 0 : 1); }

  static std::uint64_t tick_of(std::uint64_t key) { return key / 2; }

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
    // In a batch it comes after all of that; see move_late_to().
    const bool first = tick <= horizon_ && batch_ == 0;
    expected_[id] = {model_.emplace(key(std::max(tick, horizon_), first), id), true, batch_};
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
    return tick_of(item.first) <= horizon_ && expected_[item.second].batch != batch_;
  }

  // At once, or a few at a time with something happening in between.
  void expire() {
    if (pick(3) == 0) {
      for (std::size_t most = 1 + pick(20); expire_some(most) && !testing::Test::HasFailure();) {
        if (!calm_ && pick(2) == 0) act();
        check();
      }
    }
    batch_ = ++batches_;
    horizon_ = tick_now();
    wheel_.expire(now_, [&](timer_node& node) { fired(node); });
    EXPECT_TRUE(model_.empty() || !due(*model_.begin())) << "left behind";
    move_late_to(horizon_);
    batch_ = 0;
  }

  std::uint64_t tick_now() const {
    return static_cast<std::uint64_t>(std::chrono::floor<milliseconds>(now_ - epoch_).count());
  }

  // False when that was all.
  bool expire_some(std::size_t most) {
    batch_ = ++batches_;
    reached_ = horizon_;
    horizon_ = tick_now();
    wheel_.expire_some(now_, most, [&](timer_node& node) { fired(node); });
    if (most == 0) {
      move_late_to(reached_);
      horizon_ = reached_;
    } else {
      EXPECT_TRUE(model_.empty() || !due(*model_.begin())) << "left behind";
      move_late_to(horizon_);
    }
    batch_ = 0;
    return most == 0;
  }

  // What was armed too late during a batch comes before what that has not come to.
  void move_late_to(std::uint64_t tick) {
    std::vector<std::size_t> late;
    for (auto [each, end] = model_.equal_range(key(horizon_, false)); each != end; ++each) {
      if (expected_[each->second].batch == batch_) late.push_back(each->second);
    }
    for (const std::size_t id : late) {
      model_.erase(expected_[id].place);
      expected_[id].place = model_.emplace(key(tick, true), id);
    }
  }

  void fired(timer_node& node) {
    const auto id = static_cast<std::size_t>(&node - nodes_.data());
    EXPECT_FALSE(node.armed());
    ASSERT_FALSE(model_.empty());
    ASSERT_TRUE(due(*model_.begin()));
    ASSERT_EQ(model_.begin()->second, id);
    reached_ = std::max(reached_, tick_of(model_.begin()->first));
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
    const std::uint64_t first = tick_of(model_.begin()->first);
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
  std::uint64_t reached_ = 0;  // the tick of the last that was fired
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
