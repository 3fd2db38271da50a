// The channel between tasks of all kinds, under load: every value reaches one receiver, in order.
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include <gtest/gtest.h>

#include <weft/fiber/channel.hpp>

#include "players.hpp"

namespace {

using weft::channel;
using weft::test::pairing;
using weft::test::players;
using weft::this_fiber::yield;

class ChannelStress : public weft::test::runtime_test {};

class ChannelBetween : public ChannelStress, public testing::WithParamInterface<pairing> {};

INSTANTIATE_TEST_SUITE_P(Pairings, ChannelBetween, testing::ValuesIn(weft::test::pairings),
                         weft::test::name_of);

constexpr std::size_t capacities[] = {0, 1, 7, channel<int>::unbounded};

TEST_P(ChannelBetween, carries_all_values_in_order_until_it_is_closed) {
  for (const std::size_t capacity : capacities) {
    run(
        [&] {
          channel<std::unique_ptr<int>> values{capacity};
          int expected = 0;
          players both;
          both.start(GetParam().first, [&] {
            for (int i = 0; i < 2'000; ++i) values.send(std::make_unique<int>(i));
            values.close();
          });
          both.start(GetParam().second, [&] {
            while (auto value = values.receive()) EXPECT_EQ(**value, expected++);
          });
          both.join();
          EXPECT_EQ(expected, 2'000) << "capacity " << capacity;
        },
        {.workers = 2});
  }
}

TEST_P(ChannelBetween, close_from_the_receiving_side_stops_the_sender) {
  run(
      [] {
        channel<int> values{1};
        int sent = 0;
        int received = 0;
        players both;
        both.start(GetParam().first, [&] {
          std::error_code ec;
          for (;; ++sent) {
            values.send(sent, ec);
            if (ec) break;
          }
          EXPECT_EQ(ec, weft::errc::closed);
        });
        both.start(GetParam().second, [&] {
          while (received < 100) received += values.receive() ? 1 : 0;
          values.close();
          while (values.receive()) ++received;
        });
        both.join();
        EXPECT_EQ(sent, received);
      },
      {.workers = 2});
}

// ---- stress ------------------------------------------------------------------------------------

// What several senders and receivers did: each value is (sender << 20) | number.
struct ledger {
  explicit ledger(std::size_t capacity) : values(capacity) {}

  void send_at_random(unsigned sender, unsigned seed, int count) {
    weft::test::seeded random{seed};
    for (int i = 0; i < count;) {
      const unsigned value = (sender << 20) | static_cast<unsigned>(i);
      bool done = true;
      switch (random.below(3)) {
      case 0: values.send(value); break;
      case 1: done = values.try_send(value); break;
      default: done = values.send_for(value, random.short_time());
      }
      if (done) ++i;
      if (!done || random.below(16) == 0) yield();
    }
  }

  void receive_at_random(unsigned seed, std::vector<unsigned>& mine) {
    weft::test::seeded random{seed};
    for (;;) {
      std::error_code ec;
      std::optional<unsigned> value;
      switch (random.below(3)) {
      case 0: value = values.receive(ec); break;
      case 1: value = values.try_receive(), ec = weft::errc::timed_out; break;
      default: value = values.receive_for(random.short_time(), ec);
      }
      if (value) {
        mine.push_back(*value);
      } else if (!ec) {
        return;
      } else {
        yield();
      }
    }
  }

  channel<unsigned> values;
};

// Each receiver sees the values of one sender in their order, all together see each of them once.
void check(const std::vector<std::vector<unsigned>>& received, unsigned senders, int each) {
  std::vector<std::vector<int>> times(senders, std::vector<int>(static_cast<std::size_t>(each)));
  for (const auto& mine : received) {
    std::vector<int> last(senders, -1);
    for (const unsigned value : mine) {
      const int number = static_cast<int>(value & 0xfffff);
      EXPECT_GT(number, last[value >> 20]);
      last[value >> 20] = number;
      ++times[value >> 20][static_cast<std::size_t>(number)];
    }
  }
  for (const auto& sender : times) {
    for (const int count : sender) ASSERT_EQ(count, 1);
  }
}

TEST_F(ChannelStress, of_all_kinds_of_tasks_loses_and_doubles_nothing) {
  constexpr unsigned senders = 3;
  constexpr int each = weft::test::stress_operations / 4;
  for (const std::size_t capacity : capacities) {
    const unsigned seed = weft::test::new_seed();
    SCOPED_TRACE("capacity " + std::to_string(capacity) + " seed " + std::to_string(seed));
    std::vector<std::vector<unsigned>> received(3);
    run(
        [&] {
          ledger book{capacity};
          std::atomic<unsigned> sending = senders;
          players all;
          for (unsigned i = 0; i < senders; ++i) {
            all.start(weft::test::places[i], [&, i] {
              book.send_at_random(i, seed + i, each);
              if (--sending == 0) book.values.close();
            });
            all.start(weft::test::places[2 - i],
                      [&, i] { book.receive_at_random(seed + 100 + i, received[i]); });
          }
          all.join();
          EXPECT_EQ(book.values.size(), 0u);
        },
        {.workers = 2});
    check(received, senders, each);
  }
}

TEST_F(ChannelStress, of_cancelled_senders_and_receivers_keeps_the_sum) {
  run(
      [] {
        weft::test::seeded random{weft::test::new_seed()};
        for (int i = 0; i < weft::test::stress_operations / 10; ++i) {
          channel<int> values{random.below(3)};
          std::atomic<int> sent = 0;
          std::atomic<int> received = 0;
          std::vector<weft::fiber<>> fibers;
          for (int f = 1; f <= 3; ++f) {
            fibers.push_back(weft::spawn_on(random.below(2), [&, f] {
              std::error_code ec;
              values.send(f, ec);
              if (!ec) sent += f;
            }));
            fibers.push_back(weft::spawn_on(random.below(2), [&] {
              std::error_code ec;
              received += values.receive(ec).value_or(0);
            }));
          }
          for (unsigned turns = random.below(4); turns > 0; --turns) yield();
          for (auto& each : fibers) {
            if (random.below(2) == 0) each.request_cancel();
          }
          values.close();
          for (auto& each : fibers) each.join();
          while (auto left = values.try_receive()) received += *left;
          ASSERT_EQ(sent, received);
        }
      },
      {.workers = 2});
}

}  // namespace
