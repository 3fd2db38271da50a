// Datagrams of each family, one at a time, and what may go wrong with them.
#include <array>
#include <chrono>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net_fixture.hpp"
#include "unix_queue.hpp"

namespace weft::test {
namespace {

using net::datagram_socket;
using net::endpoint;

class DatagramSocket : public runtime_test {};

std::string receive_text(datagram_socket& from, endpoint& sender, std::error_code& ec) {
  std::array<std::byte, 1000> buffer;
  return text_of(std::span{buffer}.first(from.receive_from(buffer, sender, ec)));
}

std::string receive_text(datagram_socket& from) {
  std::array<std::byte, 1000> buffer;
  return text_of(std::span{buffer}.first(from.receive(buffer)));
}

TEST_F(DatagramSocket, sends_there_and_back_in_each_family) {
  run([] {
    const scratch_folder folder;
    const std::array<std::array<endpoint, 2>, 4> families{{
        {endpoint::loopback_v4(0), endpoint::loopback_v4(0)},
        {endpoint::loopback_v6(0), endpoint::loopback_v6(0)},
        {endpoint::unix_domain(folder.path("a")), endpoint::unix_domain(folder.path("b"))},
        {endpoint::unix_domain("@weft-datagram-a-" + std::to_string(::getpid())),
         endpoint::unix_domain("@weft-datagram-b-" + std::to_string(::getpid()))},
    }};
    for (const auto& [left_name, right_name] : families) {
      datagram_socket left{left_name};
      datagram_socket right{right_name};
      std::error_code ec;
      endpoint sender;

      EXPECT_EQ(left.send_to(bytes_of("ping"), right.local_endpoint()), 4u);
      EXPECT_EQ(receive_text(right, sender, ec), "ping");
      EXPECT_EQ(sender, left.local_endpoint());
      EXPECT_EQ(right.send_to(bytes_of("pong"), sender, ec), 4u);
      EXPECT_EQ(receive_text(left, sender, ec), "pong");
      EXPECT_EQ(sender, right.local_endpoint());
    }
  });
}

TEST_F(DatagramSocket, waits_for_a_datagram_and_lets_others_run) {
  run([] {
    datagram_socket receiver{endpoint::loopback_v4(0)};
    datagram_socket sender{endpoint::loopback_v4(0)};
    auto sending = spawn([&] { sender.send_to(bytes_of("late"), receiver.local_endpoint()); });

    EXPECT_EQ(receive_text(receiver), "late");
    EXPECT_TRUE(sending.done());
  });
}

TEST_F(DatagramSocket, a_sender_without_a_name_is_unspecified) {
  run([] {
    const scratch_folder folder;
    datagram_socket receiver{endpoint::unix_domain(folder.path("receiver"))};
    std::error_code ec;
    datagram_socket nameless =
        datagram_socket::adopt(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), ec);
    nameless.send_to(bytes_of("who?"), receiver.local_endpoint());
    endpoint sender = endpoint::loopback_v4(1);

    EXPECT_EQ(receive_text(receiver, sender, ec), "who?");
    EXPECT_FALSE(ec);
    EXPECT_EQ(sender, endpoint{});
  });
}

TEST_F(DatagramSocket, of_a_datagram_that_is_too_long_the_rest_is_lost_and_that_is_told) {
  run([] {
    datagram_socket receiver{endpoint::loopback_v4(0)};
    datagram_socket sender{endpoint::loopback_v4(0)};
    sender.send_to(bytes_of("longer than the buffer"), receiver.local_endpoint());
    sender.send_to(bytes_of("fits"), receiver.local_endpoint());
    std::array<std::byte, 6> buffer;
    std::error_code ec;
    endpoint from;

    EXPECT_EQ(receiver.receive_from(buffer, from, ec), 6u);
    EXPECT_EQ(ec, std::errc::message_size);
    EXPECT_EQ(text_of(buffer), "longer");
    EXPECT_EQ(from, sender.local_endpoint());
    EXPECT_EQ(receiver.receive(buffer, ec), 4u);
    EXPECT_FALSE(ec);
  });
}

TEST_F(DatagramSocket, an_empty_datagram_is_received_as_one) {
  run([] {
    datagram_socket receiver{endpoint::loopback_v4(0)};
    datagram_socket sender{endpoint::loopback_v4(0)};
    EXPECT_EQ(sender.send_to({}, receiver.local_endpoint()), 0u);
    std::array<std::byte, 6> buffer;
    std::error_code ec = errc::eof;

    EXPECT_EQ(receiver.receive(buffer, ec), 0u);
    EXPECT_FALSE(ec);
  });
}

TEST_F(DatagramSocket, a_datagram_larger_than_any_is_an_error_of_the_sender) {
  run([] {
    datagram_socket sender{endpoint::loopback_v4(0)};
    std::error_code ec;
    sender.send_to(bytes_of(pattern(100'000)), endpoint::loopback_v4(9), ec);

    EXPECT_EQ(ec, std::errc::message_size);
  });
}

TEST_F(DatagramSocket, a_connected_one_sends_to_its_peer_and_hears_nobody_else) {
  run([] {
    datagram_socket ours{endpoint::loopback_v4(0)};
    datagram_socket peer{endpoint::loopback_v4(0)};
    datagram_socket stranger{endpoint::loopback_v4(0)};
    ours.connect(peer.local_endpoint());
    EXPECT_EQ(ours.remote_endpoint(), peer.local_endpoint());
    stranger.send_to(bytes_of("ignored"), ours.local_endpoint());
    peer.send_to(bytes_of("heard"), ours.local_endpoint());

    EXPECT_EQ(receive_text(ours), "heard");
    EXPECT_EQ(ours.send(bytes_of("answer")), 6u);
    EXPECT_EQ(receive_text(peer), "answer");
  });
}

TEST_F(DatagramSocket, a_connected_one_is_told_that_nobody_is_there) {
  run([] {
    datagram_socket ours{endpoint::loopback_v4(0)};
    datagram_socket gone{endpoint::loopback_v4(0)};
    ours.connect(gone.local_endpoint());
    gone.close();
    auto reader = spawn([&] {
      std::error_code ec;
      std::array<std::byte, 10> buffer;
      ours.receive(buffer, ec);
      return ec;
    });
    one_turn();
    ours.send(bytes_of("anybody?"));
    reader.join();

    EXPECT_EQ(reader.result(), std::errc::connection_refused);
  });
}

TEST_F(DatagramSocket, sending_without_a_peer_is_an_error) {
  run([] {
    datagram_socket ours{endpoint::loopback_v4(0)};
    std::error_code ec;
    ours.send(bytes_of("to whom?"), ec);

    EXPECT_EQ(ec, std::errc::destination_address_required);
    EXPECT_THROW((void)ours.remote_endpoint(), std::system_error);
  });
}

class FullUnixQueue : public runtime_test,
                      public ::testing::WithParamInterface<bool> {};  // whether the sender connects

TEST_P(FullUnixQueue, makes_the_sender_wait_until_the_receiver_has_caught_up) {
  run([] {
    const scratch_folder folder;
    const endpoint name = endpoint::unix_domain(folder.path("receiver"));
    datagram_socket receiver{name};
    datagram_socket sender{endpoint::unix_domain(folder.path("sender"))};
    if (GetParam()) sender.connect(name);
    const int queued = fill_queue(name);
    auto sending = spawn([&] {
      return GetParam() ? sender.send(bytes_of("at last"))
                        : sender.send_to(bytes_of("at last"), name);
    });
    for (int i = 0; i < 200; ++i) one_turn();
    EXPECT_FALSE(sending.done());
    for (int i = 0; i < queued; ++i) EXPECT_EQ(receive_text(receiver), "filler");

    EXPECT_EQ(receive_text(receiver), "at last");
    sending.join();
    EXPECT_EQ(sending.result(), 7u);
  });
}

TEST_P(FullUnixQueue, leaves_the_sender_to_be_cancelled_or_closed) {
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
      auto sending = spawn([&] {
        GetParam() ? sender.send(bytes_of("x"), ec) : sender.send_to(bytes_of("x"), name, ec);
      });
      one_turn();
      ASSERT_FALSE(sending.done());
      cancel ? sending.request_cancel() : sender.close();
      one_turn();

      EXPECT_TRUE(sending.done());
      EXPECT_EQ(ec, cancel ? errc::cancelled : errc::closed);
    }
  });
}

// One that is not connected waits by the clock.
TEST_F(DatagramSocket, of_a_sender_that_was_woken_and_then_cancelled_sends_nothing) {
  run([] {
    const scratch_folder folder;
    const endpoint name = endpoint::unix_domain(folder.path("receiver"));
    const datagram_socket receiver{name};
    datagram_socket sender{endpoint::unix_domain(folder.path("sender"))};
    fill_queue(name);
    std::error_code ec;
    fiber<> sending;
    auto canceller = spawn([&] {
      this_fiber::sleep_for(std::chrono::microseconds{100});
      sending.request_cancel();
    });
    sending = spawn([&] { sender.send_to(bytes_of("never"), name, ec); });
    one_turn();
    empty_queue(receiver);
    spin_past_the_pause();  // one look at the timers then wakes both, the canceller first
    sending.join();
    canceller.join();

    EXPECT_EQ(ec, errc::cancelled);
    EXPECT_TRUE(is_empty(receiver));
  });
}

INSTANTIATE_TEST_SUITE_P(Sender, FullUnixQueue, ::testing::Bool(),
                         [](const auto& of) { return of.param ? "connected" : "unconnected"; });

TEST_F(DatagramSocket, names_the_address_that_is_in_use) {
  run([] {
    const datagram_socket first{endpoint::loopback_v4(0)};
    const endpoint taken = first.local_endpoint();
    std::error_code ec;
    EXPECT_FALSE(datagram_socket::bind(taken, ec).is_open());
    EXPECT_EQ(ec, std::errc::address_in_use);
    try {
      const datagram_socket second{taken};
      ADD_FAILURE() << "bound twice";
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code(), std::errc::address_in_use);
      EXPECT_NE(std::string(error.what()).find(taken.to_string()), std::string::npos);
    }
  });
}

TEST_F(DatagramSocket, reports_an_address_family_that_is_none) {
  run([] {
    std::error_code ec;
    EXPECT_FALSE(datagram_socket::bind(endpoint{}, ec).is_open());

    EXPECT_EQ(ec, std::errc::address_family_not_supported);
  });
}

TEST_F(DatagramSocket, a_closed_one_says_so) {
  run([] {
    datagram_socket nothing;
    std::array<std::byte, 10> buffer;
    std::error_code ec;

    EXPECT_EQ(nothing.receive(buffer, ec), 0u);
    EXPECT_EQ(ec, errc::closed);
    EXPECT_EQ(nothing.send(bytes_of("x"), ec), 0u);
    EXPECT_EQ(ec, errc::closed);
    nothing.connect(endpoint::loopback_v4(1), ec);
    EXPECT_EQ(ec, errc::closed);
    nothing.set_option(SOL_SOCKET, SO_BROADCAST, 1, ec);
    EXPECT_EQ(ec, errc::closed);
    EXPECT_THROW((void)nothing.local_endpoint(), std::system_error);
    EXPECT_THROW(nothing.receive(buffer), std::system_error);
    EXPECT_THROW(nothing.send(bytes_of("x")), std::system_error);
  });
}

TEST_F(DatagramSocket, is_released_in_blocking_mode_and_adopted_again) {
  run([] {
    datagram_socket ours{endpoint::loopback_v4(0)};
    const endpoint name = ours.local_endpoint();
    const int fd = ours.release();
    EXPECT_FALSE(ours.is_open());
    EXPECT_EQ(::fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    std::error_code ec;
    ours = datagram_socket::adopt(fd, ec);
    datagram_socket sender{endpoint::loopback_v4(0)};
    auto sending = spawn([&] { sender.send_to(bytes_of("x"), name); });

    EXPECT_EQ(receive_text(ours), "x");
  });
}

TEST_F(DatagramSocket, sets_options) {
  run([] {
    datagram_socket ours{endpoint::loopback_v4(0)};
    ours.set_option(SOL_SOCKET, SO_BROADCAST, 1);
    int value = 0;
    socklen_t size = sizeof value;
    ::getsockopt(ours.native_handle(), SOL_SOCKET, SO_BROADCAST, &value, &size);

    EXPECT_EQ(value, 1);
    EXPECT_THROW(ours.set_option(SOL_SOCKET, -1, 0), std::system_error);
  });
}

}  // namespace
}  // namespace weft::test
