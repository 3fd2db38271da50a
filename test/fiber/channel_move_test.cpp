// The channel of values whose move throws: whose call that ends, and that no room is lost by it.
#include <chrono>
#include <csignal>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <gtest/gtest.h>

#include <weft/fiber/channel.hpp>
#include <weft/fiber/testing.hpp>

#include "players.hpp"

namespace {

using weft::channel;
using weft::spawn;
using weft::this_fiber::yield;

class ThrowingMove : public weft::test::runtime_test {};

// Its next `throws` moves fail and leave both as they were.
struct fragile {
  explicit fragile(int number) : value(number) {}

  fragile(fragile&& other) : value(other.value) {
    if (throws > 0) {
      --throws;
      throw std::runtime_error("fragile");
    }
    other.value = -1;
  }

  fragile& operator=(fragile&&) = delete;
  ~fragile() = default;

  static inline int throws = 0;
  int value;
};

TEST_F(ThrowingMove, an_exception_while_it_is_buffered_reaches_the_sender_who_keeps_the_value) {
  channel<fragile> values{1};
  fragile value{4};

  fragile::throws = 1;
  EXPECT_THROW(values.send(std::move(value)), std::runtime_error);
  EXPECT_EQ(values.size(), 0u);
  EXPECT_EQ(value.value, 4);  // NOLINT(bugprone-use-after-move): the promise under test
  values.send(std::move(value));

  fragile::throws = 1;
  EXPECT_THROW(values.receive(), std::runtime_error);
  EXPECT_EQ(values.size(), 1u);
  EXPECT_EQ(values.receive()->value, 4);
}

TEST_F(ThrowingMove, a_receiver_waits_on_when_the_move_to_it_throws_in_the_sender) {
  run([] {
    channel<fragile> values;
    int seen = 0;
    auto receiver = spawn([&] { seen = values.receive()->value; });
    yield();

    fragile::throws = 1;
    EXPECT_THROW(values.send(fragile{6}), std::runtime_error);
    yield();
    EXPECT_EQ(seen, 0);
    values.send(fragile{7});
    receiver.join();

    EXPECT_EQ(seen, 7);
  });
}

TEST_F(ThrowingMove, a_sender_waits_on_when_the_move_from_it_throws_in_the_receiver) {
  run([] {
    for (const std::size_t capacity : {0u, 1u}) {
      channel<fragile> values{capacity};
      if (capacity == 1) values.send(fragile{5});
      auto sender = spawn([&] { values.send(fragile{6}); });
      yield();

      fragile::throws = 1;
      EXPECT_THROW(values.receive(), std::runtime_error);
      yield();
      if (capacity == 1) {
        EXPECT_EQ(values.receive()->value, 5);
      }
      EXPECT_EQ(values.receive()->value, 6);
      sender.join();
    }
  });
}

// Moves without harm but for the one time it is told to throw.
struct throws_once {
  static inline bool next_time = false;

  throws_once() = default;

  throws_once(throws_once&& /*other*/) {
    if (std::exchange(next_time, false)) throw std::runtime_error("moved");
  }
};

TEST_F(ThrowingMove, a_receiver_that_has_to_wait_again_hears_of_a_cancellation_in_between) {
  run([] {
    channel<throws_once> values;
    std::error_code ec;
    auto receiver = spawn([&] { values.receive(ec); });
    weft::testing::all_blocked();
    throws_once value;
    throws_once::next_time = true;
    EXPECT_THROW(values.send(std::move(value)), std::runtime_error);

    receiver.request_cancel();
    receiver.join();

    EXPECT_EQ(ec, weft::errc::cancelled);
  });
}

TEST_F(ThrowingMove, a_receiver_that_is_cancelled_before_it_tries_again_takes_nothing) {
  run([] {
    channel<throws_once> values{1};
    std::error_code ec;
    bool got = false;
    auto receiver = spawn([&] { got = values.receive(ec).has_value(); });
    weft::testing::all_blocked();
    throws_once::next_time = true;
    EXPECT_THROW(values.send(throws_once{}), std::runtime_error);
    values.send(throws_once{});  // there, by the time it runs

    receiver.request_cancel();
    receiver.join();

    EXPECT_FALSE(got);
    EXPECT_EQ(ec, weft::errc::cancelled);
    EXPECT_EQ(values.size(), 1u);
  });
}

TEST_F(ThrowingMove, a_sender_that_is_cancelled_before_it_tries_again_sends_nothing) {
  run([] {
    channel<throws_once> values;
    std::error_code ec;
    auto sender = spawn([&] { values.send(throws_once{}, ec); });
    weft::testing::all_blocked();
    throws_once::next_time = true;
    EXPECT_THROW(values.receive(), std::runtime_error);

    sender.request_cancel();
    auto receiver = spawn([&] { return values.receive_for(std::chrono::seconds{0}).has_value(); });
    sender.join();
    receiver.join();

    EXPECT_EQ(ec, weft::errc::cancelled);
    EXPECT_FALSE(receiver.result());
  });
}

using ThrowingMoveDeath = ThrowingMove;

TEST_F(ThrowingMoveDeath, a_channel_that_goes_before_one_has_tried_again_ends_the_process) {
  EXPECT_EXIT(
      {
        enter_death_test();
        weft::run([] {
          auto values = std::make_unique<channel<throws_once>>();
          auto sender = spawn([&] { values->send(throws_once{}); });
          weft::testing::all_blocked();
          throws_once::next_time = true;
          try {
            values->receive();
          } catch (const std::runtime_error&) {
            values.reset();
          }
          sender.join();
        });
      },
      testing::KilledBySignal(SIGABRT), "a channel was destroyed while somebody waited for it");
}

// Never moves if it was made so.
struct stubborn {
  explicit stubborn(int value, bool stays = false) : number(value), immovable(stays) {}

  stubborn(stubborn&& other) : number(other.number), immovable(other.immovable) {
    if (immovable) throw std::runtime_error("stubborn");
  }

  int number;
  bool immovable;
};

TEST_F(ThrowingMove, the_room_for_waiting_senders_whose_moves_throw_is_for_the_next) {
  run([] {
    channel<stubborn> values{1};
    values.send(stubborn{0});
    int refused = 0;
    const auto send_immovable = [&] {
      stubborn value{1, true};
      EXPECT_THROW(values.send(std::move(value)), std::runtime_error);
      ++refused;
    };
    auto first = spawn(send_immovable);
    auto second = spawn(send_immovable);
    auto third = spawn([&] { values.send(stubborn{2}); });
    yield();

    EXPECT_EQ(values.receive()->number, 0);
    EXPECT_FALSE(values.try_send(stubborn{3})) << "overtook a sender that waits";
    weft::testing::all_blocked();

    EXPECT_EQ(refused, 2);
    EXPECT_EQ(values.size(), 1u);
    values.close();  // in case that one waits on
    first.join();
    second.join();
    third.join();
    EXPECT_EQ(values.receive()->number, 2);
  });
}

TEST_F(ThrowingMove, room_for_no_sender_but_one_whose_move_throws_is_free) {
  run([] {
    channel<stubborn> values{1};
    values.send(stubborn{0});
    auto sender = spawn([&] {
      stubborn value{1, true};
      EXPECT_THROW(values.send(std::move(value)), std::runtime_error);
    });
    yield();

    EXPECT_EQ(values.receive()->number, 0);

    EXPECT_TRUE(values.try_send(stubborn{2}));
    sender.join();
    EXPECT_EQ(values.size(), 1u);
  });
}

}  // namespace
