// The channel: every value reaches one receiver, in order, whatever ends the waits on either side.
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <weft/fiber/channel.hpp>

#include "players.hpp"

namespace {

using namespace std::chrono_literals;
using weft::channel;
using weft::spawn;
using weft::this_fiber::yield;

class Channel : public weft::test::runtime_test {};

using ChannelDeath = Channel;

// ---- values ------------------------------------------------------------------------------------

TEST_F(Channel, holds_as_many_as_its_capacity_and_gives_them_in_order) {
  channel<int> values{3};
  EXPECT_EQ(values.capacity(), 3u);

  for (int i = 0; i < 3; ++i) EXPECT_TRUE(values.try_send(i));
  EXPECT_FALSE(values.try_send(3));
  EXPECT_EQ(values.size(), 3u);

  for (int i = 0; i < 3; ++i) EXPECT_EQ(values.receive(), i);
  EXPECT_EQ(values.try_receive(), std::nullopt);
}

TEST_F(Channel, without_a_bound_takes_all) {
  channel<std::string> values{channel<std::string>::unbounded};

  for (int i = 0; i < 10'000; ++i) values.send(std::to_string(i));

  for (int i = 0; i < 10'000; ++i) EXPECT_EQ(values.receive(), std::to_string(i));
}

TEST_F(Channel, without_room_hands_over_only_to_who_waits) {
  run([] {
    channel<int> values;
    EXPECT_FALSE(values.try_send(1));
    std::optional<int> seen;
    auto receiver = spawn([&] { seen = values.receive(); });
    yield();

    EXPECT_TRUE(values.try_send(2));
    EXPECT_FALSE(values.try_send(3)) << "the receiver has one already";
    receiver.join();

    EXPECT_EQ(seen, 2);
  });
}

TEST_F(Channel, moves_a_value_only_if_it_was_sent) {
  run([] {
    channel<std::unique_ptr<int>> values{1};
    auto first = std::make_unique<int>(1);
    auto second = std::make_unique<int>(2);
    std::error_code ec;

    EXPECT_TRUE(values.try_send(std::move(first)));
    EXPECT_FALSE(values.try_send(std::move(second)));
    EXPECT_FALSE(values.send_for(std::move(second), 1ms, ec));
    EXPECT_EQ(ec, weft::errc::timed_out);
    values.close();
    values.send(std::move(second), ec);
    EXPECT_EQ(ec, weft::errc::closed);

    EXPECT_EQ(first, nullptr);  // NOLINT(bugprone-use-after-move): the promise under test
    ASSERT_NE(second, nullptr);
    EXPECT_EQ(*second, 2);
    EXPECT_EQ(**values.receive(), 1);
  });
}

TEST_F(Channel, copies_what_the_caller_keeps_and_converts) {
  channel<std::string> values{2};
  const std::string kept = "a text that is too long to be held in place";

  values.send(kept);
  values.send("literal");

  EXPECT_EQ(values.receive(), kept);
  EXPECT_EQ(values.receive(), "literal");
}

// ---- order -------------------------------------------------------------------------------------

TEST_F(Channel, serves_receivers_in_the_order_in_which_they_came) {
  run([] {
    channel<int> values;
    std::vector<std::pair<int, int>> received;
    std::vector<weft::fiber<>> fibers;
    for (int i = 0; i < 4; ++i) {
      fibers.push_back(spawn([&, i] { received.emplace_back(i, values.receive().value()); }));
    }
    yield();

    for (int i = 0; i < 4; ++i) values.send(10 + i);
    for (auto& each : fibers) each.join();

    EXPECT_EQ(received, (std::vector<std::pair<int, int>>{{0, 10}, {1, 11}, {2, 12}, {3, 13}}));
  });
}

TEST_F(Channel, serves_senders_in_the_order_in_which_they_came) {
  run([] {
    for (const std::size_t capacity : {0u, 1u, 2u}) {
      channel<int> values{capacity};
      std::vector<weft::fiber<>> fibers;
      for (int i = 0; i < 5; ++i) fibers.push_back(spawn([&, i] { values.send(i); }));
      yield();

      for (int i = 0; i < 5; ++i) EXPECT_EQ(values.receive(), i) << "capacity " << capacity;
    }
  });
}

// ---- close -------------------------------------------------------------------------------------

TEST_F(Channel, closed_gives_what_it_holds_and_then_none) {
  channel<int> values{4};
  values.send(1);
  values.send(2);
  std::error_code ec = weft::errc::eof;

  values.close();
  values.close();

  EXPECT_TRUE(values.is_closed());
  EXPECT_THROW(values.send(3), std::system_error);
  EXPECT_THROW(values.send_for(3, 1h), std::system_error);
  EXPECT_FALSE(values.try_send(3));
  EXPECT_EQ(values.receive(ec), 1);
  EXPECT_EQ(values.receive_for(1h, ec), 2);
  EXPECT_EQ(values.receive(ec), std::nullopt);
  EXPECT_FALSE(ec) << ec.message();
  EXPECT_EQ(values.receive_for(1h), std::nullopt);
  EXPECT_EQ(values.try_receive(), std::nullopt);
}

TEST_F(Channel, close_ends_the_waits_of_receivers_with_none) {
  run([] {
    channel<int> values;
    int ended = 0;
    std::vector<weft::fiber<>> fibers;
    for (int i = 0; i < 3; ++i) {
      fibers.push_back(spawn([&] {
        std::error_code ec;
        EXPECT_EQ(values.receive(ec), std::nullopt);
        EXPECT_FALSE(ec);
        ++ended;
      }));
    }
    yield();

    values.close();
    for (auto& each : fibers) each.join();

    EXPECT_EQ(ended, 3);
  });
}

TEST_F(Channel, close_refuses_senders_that_wait_and_leaves_them_their_values) {
  run([] {
    channel<std::unique_ptr<int>> values;
    auto value = std::make_unique<int>(5);
    std::error_code ec;
    auto sender = spawn([&] { values.send(std::move(value), ec); });
    yield();

    values.close();
    EXPECT_EQ(values.try_receive(), std::nullopt);
    sender.join();

    EXPECT_EQ(ec, weft::errc::closed);
    ASSERT_NE(value, nullptr);
  });
}

TEST_F(Channel, what_was_taken_before_the_close_was_sent) {
  run([] {
    channel<int> values;
    std::error_code ec = weft::errc::eof;
    auto sender = spawn([&] { values.send(5, ec); });
    yield();

    EXPECT_EQ(values.try_receive(), 5);
    values.close();
    sender.join();

    EXPECT_FALSE(ec) << ec.message();
  });
}

// ---- timeouts and cancellation -----------------------------------------------------------------

TEST_F(Channel, timed_calls_give_up_and_leave_no_trace) {
  run([] {
    channel<int> values;
    std::error_code ec;

    EXPECT_EQ(values.receive_for(1ms, ec), std::nullopt);
    EXPECT_EQ(ec, weft::errc::timed_out);
    EXPECT_EQ(values.receive_for(-1h), std::nullopt);
    EXPECT_FALSE(values.send_for(1, 1ms, ec));
    EXPECT_EQ(ec, weft::errc::timed_out);
    EXPECT_FALSE(values.send_for(1, -1h));

    EXPECT_EQ(values.try_receive(), std::nullopt);
    EXPECT_FALSE(values.try_send(2));
  });
}

TEST_F(Channel, a_value_goes_past_a_receiver_that_was_cancelled) {
  run([] {
    channel<int> values;
    std::error_code first_ec;
    std::optional<int> first_seen, second_seen;
    auto first = spawn([&] { first_seen = values.receive(first_ec); });
    auto second = spawn([&] { second_seen = values.receive(); });
    yield();

    first.request_cancel();  // it has not run on yet when there is a value
    values.send(8);
    first.join();
    second.join();

    EXPECT_EQ(first_ec, weft::errc::cancelled);
    EXPECT_EQ(first_seen, std::nullopt);
    EXPECT_EQ(second_seen, 8);
  });
}

TEST_F(Channel, a_value_received_before_the_cancel_is_kept) {
  run([] {
    channel<int> values;
    std::error_code ec = weft::errc::eof;
    std::optional<int> seen;
    auto receiver = spawn([&] { seen = values.receive(ec); });
    yield();

    values.send(9);
    receiver.request_cancel();
    receiver.join();

    EXPECT_EQ(seen, 9);
    EXPECT_FALSE(ec);
  });
}

TEST_F(Channel, the_value_of_a_sender_that_was_cancelled_is_not_received) {
  run([] {
    for (const std::size_t capacity : {0u, 1u}) {
      channel<int> values{capacity};
      if (capacity == 1) values.send(0);
      std::error_code ec;
      auto first = spawn([&] { values.send(1, ec); });
      auto second = spawn([&] { values.send(2); });
      yield();

      first.request_cancel();
      if (capacity == 1) {
        EXPECT_EQ(values.receive(), 0);
      }
      EXPECT_EQ(values.receive(), 2);
      first.join();
      second.join();

      EXPECT_EQ(ec, weft::errc::cancelled);
      EXPECT_EQ(values.try_receive(), std::nullopt);
    }
  });
}

TEST_F(Channel, a_cancelled_fiber_neither_sends_nor_receives) {
  run([] {
    channel<int> values{2};
    values.send(1);
    auto child = spawn([&] {
      while (!weft::this_fiber::cancel_requested()) yield();
      std::error_code ec;
      EXPECT_EQ(values.receive(ec), std::nullopt);
      EXPECT_EQ(ec, weft::errc::cancelled);
      values.send(2, ec);
      EXPECT_EQ(ec, weft::errc::cancelled);
      EXPECT_THROW(values.receive(), std::system_error);
      EXPECT_THROW(values.receive_for(1h), std::system_error);
      EXPECT_THROW(values.send(2), std::system_error);
      EXPECT_THROW(values.send_for(2, 1h), std::system_error);
    });
    yield();
    child.request_cancel();
    child.join();
    EXPECT_EQ(values.size(), 1u);
  });
}

TEST_F(Channel, calls_that_do_not_wait_give_way_in_time) {
  run([] {
    channel<int> values{channel<int>::unbounded};
    bool ran = false;
    auto other = spawn([&] { ran = true; });
    for (int i = 0; i < 64; ++i) values.send(i);
    EXPECT_TRUE(ran);
    ran = false;
    auto another = spawn([&] { ran = true; });
    for (int i = 0; i < 64; ++i) values.receive();
    EXPECT_TRUE(ran);
  });
}

// ---- misuse ------------------------------------------------------------------------------------

// One that was cancelled, too, whom the wake-up does not reach and who has still to come back.
TEST_F(ChannelDeath, destroyed_while_somebody_waits_ends_the_process) {
  for (const bool cancelled : {false, true}) {
    EXPECT_EXIT(
        {
          enter_death_test();
          weft::run([cancelled] {
            std::optional<channel<int>> values{std::in_place, 0};
            auto child = spawn([&] { values->receive(); });
            yield();
            if (cancelled) {
              child.request_cancel();
              values->close();
            }
            values.reset();
          });
        },
        testing::KilledBySignal(SIGABRT), "a channel was destroyed while somebody waited");
  }
}

}  // namespace
