// Channels between coroutines and tasks of all other kinds.
#include <atomic>
#include <chrono>
#include <csignal>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include <gtest/gtest.h>

#include <weft/co.hpp>
#include <weft/fiber/channel.hpp>

#include "co_players.hpp"

namespace {

using namespace std::chrono_literals;
using weft::channel;
using weft::co::spawn;
using weft::co::task;
using weft::test::co_pairing;
using weft::test::co_players;
using weft::test::kinds;
using weft::test::stress_operations;
using weft::this_fiber::yield;

class CoChannel : public weft::test::runtime_test {};

class CoChannelBetween : public CoChannel, public testing::WithParamInterface<co_pairing> {};

INSTANTIATE_TEST_SUITE_P(Pairings, CoChannelBetween, testing::ValuesIn(weft::test::co_pairings),
                         weft::test::name_of_pairing);

constexpr std::size_t capacities[] = {0, 1, 7, channel<int>::unbounded};

TEST_F(CoChannel, converts_and_moves_what_is_sent) {
  run([] {
    channel<std::string> words{0};
    auto sender = spawn([&]() -> task<> {
      std::string mine = "a string that is long enough for the heap";
      co_await words.co_send("literal");
      co_await words.co_send(mine);
      EXPECT_FALSE(mine.empty());  // copied
      co_await words.co_send(std::move(mine));
      words.close();
    });
    std::vector<std::string> got;
    while (auto next = words.receive()) got.push_back(*next);
    sender.join();

    ASSERT_EQ(got.size(), 3u);
    EXPECT_EQ(got[0], "literal");
    EXPECT_EQ(got[1], got[2]);
  });
}

TEST_F(CoChannel, timed_operations_end_in_time_and_keep_the_value) {
  weft::testing::virtual_clock time;
  run(
      [] {
        channel<std::unique_ptr<int>> values{0};
        auto waiting = spawn([&]() -> task<> {
          std::error_code ec;
          auto mine = std::make_unique<int>(1);
          EXPECT_FALSE(co_await values.co_send_for(std::move(mine), 1s));
          EXPECT_FALSE(co_await values.co_send_for(std::move(mine), 0s, ec));
          EXPECT_EQ(ec, weft::errc::timed_out);
          EXPECT_FALSE(co_await values.co_receive_for(1s));
          EXPECT_FALSE(co_await values.co_receive_for(0s, ec));
          EXPECT_EQ(ec, weft::errc::timed_out);
          EXPECT_TRUE(mine);
          auto other = weft::spawn([&] { EXPECT_EQ(**values.receive(), 1); });
          EXPECT_TRUE(co_await values.co_send_for(std::move(mine), 1s, ec));
          EXPECT_FALSE(ec);
          co_await other.co_join();
        });
        waiting.join();
        waiting.result();
      },
      {.clock = &time});
}

TEST_F(CoChannel, closed_refuses_senders_and_ends_receivers_that_wait) {
  run([] {
    channel<int> full{1};
    channel<int> empty{1};
    full.send(1);
    auto sender = spawn([&]() -> task<> { co_await full.co_send(2); });
    auto receiver =
        spawn([&]() -> task<bool> { co_return (co_await empty.co_receive()).has_value(); });
    weft::testing::all_blocked();

    full.close();
    empty.close();
    sender.join();
    receiver.join();

    try {
      sender.result();
      ADD_FAILURE() << "the send did not fail";
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code(), weft::errc::closed);
    }
    EXPECT_FALSE(receiver.result());
    EXPECT_EQ(full.receive(), 1);
  });
}

TEST_F(CoChannel, closed_before_is_told_at_once) {
  run([] {
    channel<int> values{2};
    values.send(4);
    values.close();
    auto asking = spawn([&]() -> task<> {
      std::error_code ec;
      co_await values.co_send(5, ec);
      EXPECT_EQ(ec, weft::errc::closed);
      EXPECT_EQ(co_await values.co_receive(ec), 4);
      EXPECT_FALSE(ec);
      EXPECT_EQ(co_await values.co_receive(ec), std::nullopt);
      EXPECT_FALSE(ec);
    });
    asking.join();
    asking.result();
  });
}

// Throws when it is moved for the time that was set.
struct fragile {
  explicit fragile(int moves) : moves_left(moves) {}

  fragile(fragile&& other) : moves_left(other.moves_left - 1) {
    if (moves_left < 0) throw std::runtime_error("moved too often");
  }

  int moves_left;
};

TEST_F(CoChannel, throws_what_the_move_of_a_value_throws_to_the_one_whose_turn_it_was) {
  run([] {
    channel<fragile> values{1};
    auto at_once = spawn([&]() -> task<> { co_await values.co_send(fragile{0}); });
    at_once.join();
    EXPECT_THROW(at_once.result(), std::runtime_error);

    values.send(fragile{10});
    auto later = spawn([&]() -> task<> { co_await values.co_send(fragile{0}); });
    auto last = spawn([&]() -> task<> { co_await values.co_send(fragile{10}); });
    weft::testing::all_blocked();
    EXPECT_TRUE(values.receive());
    later.join();
    last.join();

    EXPECT_THROW(later.result(), std::runtime_error);
    EXPECT_NO_THROW(last.result());
    EXPECT_TRUE(values.receive());
  });
}

TEST_F(CoChannel, a_receiver_whose_value_cannot_be_moved_goes_on_waiting) {
  run([] {
    channel<fragile> values{0};
    auto receiving = spawn([&]() -> task<int> {
      const auto got = co_await values.co_receive();
      co_return got->moves_left;
    });
    weft::testing::all_blocked();

    EXPECT_THROW(values.send(fragile{0}), std::runtime_error);
    weft::testing::all_blocked();
    EXPECT_FALSE(receiving.done());
    values.send(fragile{10});
    receiving.join();

    EXPECT_GE(receiving.result(), 0);
  });
}

TEST_F(CoChannel, one_that_is_cancelled_before_it_tries_again_takes_and_sends_nothing) {
  run([] {
    channel<fragile> values{1};
    auto receiving = spawn([&]() -> task<std::error_code> {
      std::error_code ec;
      EXPECT_FALSE(co_await values.co_receive(ec));
      co_return ec;
    });
    weft::testing::all_blocked();
    EXPECT_THROW(values.send(fragile{0}), std::runtime_error);
    values.send(fragile{10});  // there, by the time it runs
    receiving.request_cancel();
    receiving.join();
    EXPECT_EQ(receiving.result(), weft::errc::cancelled);
    EXPECT_EQ(values.size(), 1u);
  });
  run([] {
    channel<fragile> values;
    auto sending = spawn([&]() -> task<std::error_code> {
      std::error_code ec;
      co_await values.co_send(fragile{0}, ec);
      co_return ec;
    });
    weft::testing::all_blocked();
    EXPECT_THROW(values.receive(), std::runtime_error);
    sending.request_cancel();
    sending.join();
    EXPECT_EQ(sending.result(), weft::errc::cancelled);
  });
}

using CoChannelDeath = CoChannel;

TEST_F(CoChannelDeath, that_goes_before_one_has_tried_again_ends_the_process) {
  EXPECT_EXIT(
      {
        enter_death_test();
        weft::run([] {
          auto values = std::make_unique<channel<fragile>>();
          auto receiving = spawn([&]() -> task<> { co_await values->co_receive(); });
          weft::testing::all_blocked();
          try {
            values->send(fragile{0});
          } catch (const std::runtime_error&) {
            values.reset();
          }
          receiving.join();
        });
      },
      testing::KilledBySignal(SIGABRT), "a channel was destroyed while somebody waited for it");
}

// ---- pairings and stress -----------------------------------------------------------------------

TEST_P(CoChannelBetween, carries_all_values_in_order_until_it_is_closed) {
  for (const std::size_t capacity : capacities) {
    run(
        [&] {
          channel<std::unique_ptr<int>> values{capacity};
          int expected = 0;
          co_players both;
          both.start(
              GetParam().first,
              [&] {
                for (int i = 0; i < 2'000; ++i) values.send(std::make_unique<int>(i));
                values.close();
              },
              [&]() -> task<> {
                for (int i = 0; i < 2'000; ++i) co_await values.co_send(std::make_unique<int>(i));
                values.close();
              });
          both.start(
              GetParam().second,
              [&] {
                while (auto value = values.receive()) EXPECT_EQ(**value, expected++);
              },
              [&]() -> task<> {
                while (auto value = co_await values.co_receive()) EXPECT_EQ(**value, expected++);
              });
          both.join();
          EXPECT_EQ(expected, 2'000) << "capacity " << capacity;
        },
        {.workers = 2});
  }
}

// Each value is (sender << 20) | number.
struct ledger {
  explicit ledger(std::size_t capacity) : values(capacity) {}

  task<> send(unsigned sender, unsigned seed, int count) {
    std::mt19937_64 random{seed};
    for (int i = 0; i < count;) {
      const unsigned value = (sender << 20) | static_cast<unsigned>(i);
      const auto time = std::chrono::microseconds(random() % 2'000);
      bool done = true;
      switch (random() % 5) {
      case 0: done = values.try_send(value); break;
      case 1: done = co_await values.co_send_for(value, time); break;
      case 2: values.send(value); break;
      default: co_await values.co_send(value);
      }
      if (done) ++i;
      if (!done || random() % 16 == 0) co_await weft::co::yield();
    }
  }

  task<> receive(unsigned seed, std::vector<unsigned>& mine) {
    std::mt19937_64 random{seed};
    for (;;) {
      std::error_code ec;
      std::optional<unsigned> value;
      const auto time = std::chrono::microseconds(random() % 2'000);
      switch (random() % 5) {
      case 0: value = values.try_receive(), ec = weft::errc::timed_out; break;
      case 1: value = co_await values.co_receive_for(time, ec); break;
      case 2: value = values.receive(ec); break;
      default: value = co_await values.co_receive(ec);
      }
      if (value) {
        mine.push_back(*value);
      } else if (!ec) {
        co_return;
      } else {
        co_await weft::co::yield();
      }
    }
  }

  void send_blocking(unsigned sender, int count) {
    for (int i = 0; i < count; ++i) values.send((sender << 20) | static_cast<unsigned>(i));
  }

  void receive_blocking(std::vector<unsigned>& mine) {
    while (auto value = values.receive()) mine.push_back(*value);
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

TEST_F(CoChannel, between_all_kinds_of_tasks_loses_and_doubles_nothing) {
  constexpr unsigned senders = 5;
  constexpr int each = stress_operations / 8;
  for (const std::size_t capacity : capacities) {
    const unsigned seed = weft::test::new_seed();
    SCOPED_TRACE("capacity " + std::to_string(capacity) + " seed " + std::to_string(seed));
    std::vector<std::vector<unsigned>> received(senders);
    run(
        [&] {
          ledger book{capacity};
          std::atomic<unsigned> sending = senders;
          const auto end_one = [&] {
            if (--sending == 0) book.values.close();
          };
          co_players all;
          for (unsigned i = 0; i < senders; ++i) {
            all.start(
                kinds[i],
                [&, i] {
                  book.send_blocking(i, each);
                  end_one();
                },
                [&, i]() -> task<> {
                  co_await book.send(i, seed + i, each);
                  end_one();
                });
            all.start(
                kinds[senders - 1 - i], [&, i] { book.receive_blocking(received[i]); },
                [&, i] { return book.receive(seed + 100 + i, received[i]); });
          }
          all.join();
          EXPECT_EQ(book.values.size(), 0u);
        },
        {.workers = 2});
    check(received, senders, each);
  }
}

TEST_F(CoChannel, with_coroutines_cancelled_at_random_keeps_the_sum) {
  run(
      [] {
        weft::test::seeded random{weft::test::new_seed()};
        for (int i = 0; i < stress_operations / 10; ++i) {
          channel<int> values{random.below(3)};
          std::atomic<int> sent = 0;
          std::atomic<int> received = 0;
          std::vector<weft::fiber<>> all;
          for (int f = 1; f <= 3; ++f) {
            all.push_back(weft::co::spawn_on(random.below(2), [&, f]() -> task<> {
              std::error_code ec;
              co_await values.co_send(f, ec);
              if (!ec) sent += f;
            }));
            all.push_back(weft::co::spawn_on(random.below(2), [&]() -> task<> {
              std::error_code ec;
              received += (co_await values.co_receive(ec)).value_or(0);
            }));
          }
          for (unsigned turns = random.below(4); turns > 0; --turns) yield();
          for (auto& each : all) {
            if (random.below(2) == 0) each.request_cancel();
          }
          values.close();
          for (auto& each : all) each.join();
          while (auto left = values.try_receive()) received += *left;
          ASSERT_EQ(sent, received);
        }
      },
      {.workers = 2});
}

}  // namespace
