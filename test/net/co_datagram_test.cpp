// Datagrams that coroutines send and receive, and what may go wrong with them.
#include <array>
#include <chrono>
#include <sys/socket.h>
#include <unistd.h>

#include "coroutines.hpp"
#include "unix_queue.hpp"

namespace weft::test {
namespace {

using net::datagram_socket;
using net::endpoint;

class CoDatagram : public runtime_test {};

co::task<std::string> co_receive_text(datagram_socket& from, endpoint& sender,
                                      std::error_code& ec) {
  std::array<std::byte, 1000> buffer;
  const std::size_t size = co_await from.co_receive_from(buffer, sender, ec);
  co_return text_of(std::span{buffer}.first(size));
}

co::task<std::string> co_receive_text(datagram_socket& from) {
  std::array<std::byte, 1000> buffer;
  const std::size_t size = co_await from.co_receive(buffer);
  co_return text_of(std::span{buffer}.first(size));
}

TEST_F(CoDatagram, are_sent_there_and_back_in_each_family) {
  run([] {
    const scratch_folder folder;
    const std::array<std::array<endpoint, 2>, 3> families{{
        {endpoint::loopback_v4(0), endpoint::loopback_v4(0)},
        {endpoint::loopback_v6(0), endpoint::loopback_v6(0)},
        {endpoint::unix_domain(folder.path("a")), endpoint::unix_domain(folder.path("b"))},
    }};
    for (const auto& [left_name, right_name] : families) {
      datagram_socket left{left_name};
      datagram_socket right{right_name};
      in_coroutine([&]() -> co::task<> {
        std::error_code ec;
        endpoint sender;
        std::size_t sent = co_await left.co_send_to(bytes_of("ping"), right.local_endpoint());
        EXPECT_EQ(sent, 4u);
        std::string got = co_await co_receive_text(right, sender, ec);
        EXPECT_EQ(got, "ping");
        EXPECT_EQ(sender, left.local_endpoint());
        sent = co_await right.co_send_to(bytes_of("pong"), sender, ec);
        EXPECT_EQ(sent, 4u);
        got = co_await co_receive_text(left, sender, ec);
        EXPECT_EQ(got, "pong");
        EXPECT_EQ(sender, right.local_endpoint());
      });
    }
  });
}

TEST_F(CoDatagram, are_waited_for_while_others_run) {
  run([] {
    datagram_socket receiver{endpoint::loopback_v4(0)};
    datagram_socket sender{endpoint::loopback_v4(0)};
    auto reader = co::spawn(co_receive_text(receiver));
    one_turn();
    EXPECT_FALSE(reader.done());
    sender.send_to(bytes_of("late"), receiver.local_endpoint());
    reader.join();

    EXPECT_EQ(reader.result(), "late");
  });
}

TEST_F(CoDatagram, that_are_queued_at_one_event_are_all_received) {
  run([] {
    datagram_socket receiver{endpoint::loopback_v4(0)};
    datagram_socket sender{endpoint::loopback_v4(0)};
    const auto to = receiver.local_endpoint();
    auto reader = co::spawn([&]() -> co::task<std::string> {
      std::string got;
      for (int i = 0; i < 6; ++i) got += co_await co_receive_text(receiver);
      co_return got;
    });
    one_turn();
    for (const char* each : {"a", "bb", "ccc", "d", "ee", "fff"}) {
      sender.send_to(bytes_of(each), to);
    }
    reader.join();

    EXPECT_EQ(reader.result(), "abbcccdeefff");
  });
}

TEST_F(CoDatagram, from_a_sender_without_a_name_come_from_an_unspecified_endpoint) {
  run([] {
    const scratch_folder folder;
    datagram_socket receiver{endpoint::unix_domain(folder.path("receiver"))};
    std::error_code ec;
    datagram_socket nameless =
        datagram_socket::adopt(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), ec);
    nameless.send_to(bytes_of("who?"), receiver.local_endpoint());
    endpoint sender = endpoint::loopback_v4(1);

    EXPECT_EQ(co::block_on(co_receive_text(receiver, sender, ec)), "who?");
    EXPECT_FALSE(ec);
    EXPECT_EQ(sender, endpoint{});
  });
}

TEST_F(CoDatagram, that_are_too_long_lose_the_rest_and_that_is_told) {
  run([] {
    datagram_socket receiver{endpoint::loopback_v4(0)};
    datagram_socket sender{endpoint::loopback_v4(0)};
    for (const char* each : {"longer than the buffer", "longer than the buffer", "fits", ""}) {
      sender.send_to(bytes_of(each), receiver.local_endpoint());
    }
    std::array<std::byte, 6> buffer;
    EXPECT_EQ(code_thrown_when_awaiting([&] { return receiver.co_receive(buffer); }),
              std::errc::message_size);
    in_coroutine([&]() -> co::task<> {
      std::error_code ec;
      endpoint from;
      std::size_t size = co_await receiver.co_receive_from(buffer, from, ec);
      EXPECT_EQ(size, 6u);
      EXPECT_EQ(ec, std::errc::message_size);
      EXPECT_EQ(text_of(buffer), "longer");
      EXPECT_EQ(from, sender.local_endpoint());
      size = co_await receiver.co_receive(buffer, ec);
      EXPECT_EQ(size, 4u);
      EXPECT_FALSE(ec);
      ec = errc::eof;
      size = co_await receiver.co_receive(buffer, ec);
      EXPECT_EQ(size, 0u) << "an empty one is one, too";
      EXPECT_FALSE(ec);
    });
  });
}

TEST_F(CoDatagram, that_cannot_be_sent_are_an_error_of_the_sender) {
  run([] {
    datagram_socket sender{endpoint::loopback_v4(0)};
    datagram_socket nothing;
    const std::string huge = pattern(100'000);
    const endpoint there = endpoint::loopback_v4(9);
    std::array<std::byte, 6> buffer;
    const auto code = [](auto&& call) { return code_thrown_when_awaiting(call); };

    EXPECT_EQ(code([&] { return sender.co_send_to(bytes_of(huge), there); }),
              std::errc::message_size);
    EXPECT_EQ(code([&] { return sender.co_send(bytes_of("to whom?")); }),
              std::errc::destination_address_required);
    EXPECT_EQ(code([&] { return nothing.co_send(bytes_of("x")); }), errc::closed);
    EXPECT_EQ(code([&] { return nothing.co_send_to(bytes_of("x"), there); }), errc::closed);
    EXPECT_EQ(code([&] { return nothing.co_receive(buffer); }), errc::closed);
  });
}

TEST_F(CoDatagram, an_error_of_sending_names_the_receiver) {
  run([] {
    datagram_socket nothing;
    const endpoint there = endpoint::loopback_v4(9);
    std::string said;
    try {
      co::block_on(nothing.co_send_to(bytes_of("x"), there));
    } catch (const std::system_error& error) {
      said = error.what();
    }

    EXPECT_NE(said.find(there.to_string()), std::string::npos) << said;
  });
}

TEST_F(CoDatagram, a_connected_receiver_is_told_that_nobody_is_there) {
  run([] {
    datagram_socket ours{endpoint::loopback_v4(0)};
    datagram_socket gone{endpoint::loopback_v4(0)};
    ours.connect(gone.local_endpoint());
    gone.close();
    auto reader = co::spawn(co_receive_text(ours));
    one_turn();
    co::block_on(ours.co_send(bytes_of("anybody?")));
    reader.join();

    EXPECT_EQ(code_thrown_by([&] { reader.result(); }), std::errc::connection_refused);
  });
}

// ---- a receiver that is full -----------------------------------------------------------------

class CoFullUnixQueue : public runtime_test,
                        public ::testing::WithParamInterface<bool> {  // whether the sender connects
protected:
  static fiber<outcome> spawn_sender(datagram_socket& sender, const endpoint& to) {
    return co::spawn([&]() -> co::task<outcome> {
      outcome result;
      if (GetParam()) {
        result.count = co_await sender.co_send(bytes_of("at last"), result.ec);
      } else {
        result.count = co_await sender.co_send_to(bytes_of("at last"), to, result.ec);
      }
      co_return result;
    });
  }
};

TEST_P(CoFullUnixQueue, makes_the_sender_wait_until_the_receiver_has_caught_up) {
  run([] {
    const scratch_folder folder;
    const endpoint name = endpoint::unix_domain(folder.path("receiver"));
    datagram_socket receiver{name};
    datagram_socket sender{endpoint::unix_domain(folder.path("sender"))};
    if (GetParam()) sender.connect(name);
    const int queued = fill_queue(name);
    auto sending = spawn_sender(sender, name);
    for (int i = 0; i < 200; ++i) one_turn();
    EXPECT_FALSE(sending.done());
    for (int i = 0; i < queued; ++i) EXPECT_EQ(co::block_on(co_receive_text(receiver)), "filler");

    EXPECT_EQ(co::block_on(co_receive_text(receiver)), "at last");
    sending.join();
    EXPECT_EQ(sending.result().count, 7u);
  });
}

TEST_P(CoFullUnixQueue, leaves_the_sender_and_those_behind_it_to_be_cancelled_or_closed) {
  run([] {
    const scratch_folder folder;
    const endpoint name = endpoint::unix_domain(folder.path("receiver"));
    const datagram_socket receiver{name};
    for (const bool cancel : {true, false}) {
      std::error_code ec;
      datagram_socket sender =
          datagram_socket::adopt(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), ec);
      if (GetParam()) sender.connect(name);
      fill_queue(name);
      auto sending = spawn_sender(sender, name);
      auto behind = spawn_sender(sender, name);
      one_turn();
      ASSERT_FALSE(sending.done());
      if (cancel) {
        sending.request_cancel();
        behind.request_cancel();
      } else {
        sender.close();
      }
      one_turn();

      for (auto* each : {&sending, &behind}) {
        EXPECT_TRUE(each->done());
        EXPECT_EQ(each->result().ec, cancel ? errc::cancelled : errc::closed);
        EXPECT_EQ(each->result().count, 0u);
      }
    }
  });
}

// One that is not connected waits by the clock.
TEST_F(CoDatagram, of_a_sender_that_was_woken_and_then_cancelled_sends_nothing) {
  run([] {
    const scratch_folder folder;
    const endpoint name = endpoint::unix_domain(folder.path("receiver"));
    const datagram_socket receiver{name};
    datagram_socket sender{endpoint::unix_domain(folder.path("sender"))};
    fill_queue(name);
    fiber<std::error_code> sending;
    auto canceller = spawn([&] {
      this_fiber::sleep_for(std::chrono::microseconds{100});
      sending.request_cancel();
    });
    sending = co::spawn([&]() -> co::task<std::error_code> {
      std::error_code ec;
      co_await sender.co_send_to(bytes_of("never"), name, ec);
      co_return ec;
    });
    one_turn();
    empty_queue(receiver);
    spin_past_the_pause();  // one look at the timers then wakes both, the canceller first
    sending.join();
    canceller.join();

    EXPECT_EQ(sending.result(), errc::cancelled);
    EXPECT_TRUE(is_empty(receiver));
  });
}

INSTANTIATE_TEST_SUITE_P(Sender, CoFullUnixQueue, ::testing::Bool(),
                         [](const auto& of) { return of.param ? "connected" : "unconnected"; });

}  // namespace
}  // namespace weft::test
