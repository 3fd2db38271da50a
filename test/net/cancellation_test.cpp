// A cancelled fiber's operations on sockets: they end, they transfer nothing that was not already
// under way, and the socket goes on serving others.
#include <array>
#include <poll.h>
#include <sys/socket.h>

#include "cancelled.hpp"
#include "net_fixture.hpp"

namespace weft::test {
namespace {

using net::endpoint;
using net::socket;

class Cancellation : public runtime_test {};

// Runs `operation` in a fiber that has been cancelled before.
template <class Operation>
outcome cancel_before_it_tries(Operation&& operation) {
  auto victim = spawn([&] {
    one_turn();
    outcome result;
    result.count = operation(result.ec);
    return result;
  });
  one_turn();
  victim.request_cancel();
  victim.join();
  return victim.result();
}

void expect_cancelled(const outcome& result) {
  EXPECT_EQ(result.count, 0u);
  EXPECT_EQ(result.ec, errc::cancelled);
}

std::size_t read_into_array(socket& from, std::error_code& ec) {
  std::array<std::byte, 100> buffer;
  return from.read_some(buffer, ec);
}

// ---- reading ---------------------------------------------------------------------------------

TEST_F(Cancellation, ends_the_wait_of_a_reader_and_the_next_one_gets_the_bytes) {
  for (auto make : {tcp_pair, unix_pair}) {
    run([&] {
      auto [ours, peer] = make();
      expect_cancelled(
          cancel_while_parked([&, &s = ours](auto& ec) { return read_into_array(s, ec); }));
      send_all(peer, "for the next");

      EXPECT_EQ(read_some_text(ours), "for the next");
    });
  }
}

TEST_F(Cancellation, ends_the_wait_of_a_borrowing_reader) {
  run([] {
    auto [ours, peer] = tcp_pair();
    expect_cancelled(cancel_while_parked(
        [&s = ours](auto& ec) { return s.read_some_borrowed(100, ec).size(); }));
    send_all(peer, "x");

    EXPECT_EQ(ours.read_some_borrowed().text(), "x");
  });
}

TEST_F(Cancellation, of_a_read_that_has_begun_says_how_many_bytes_came) {
  run([] {
    auto [ours, peer] = tcp_pair();
    std::array<std::byte, 10> buffer;
    send_all(peer, "abc");
    const outcome result =
        cancel_while_parked([&, &s = ours](auto& ec) { return s.read(buffer, ec); });

    EXPECT_EQ(result.count, 3u);
    EXPECT_EQ(result.ec, errc::cancelled);
    EXPECT_EQ(text_of(std::span{buffer}.first(3)), "abc");
    send_all(peer, "def");
    EXPECT_EQ(read_some_text(ours), "def");
  });
}

TEST_F(Cancellation, keeps_a_reader_from_taking_bytes_that_are_there) {
  run([] {
    auto [ours, peer] = tcp_pair();
    send_all(peer, "untouched");
    std::array<std::byte, 4> buffer;

    expect_cancelled(
        cancel_before_it_tries([&, &s = ours](auto& ec) { return s.read_some(buffer, ec); }));
    expect_cancelled(
        cancel_before_it_tries([&, &s = ours](auto& ec) { return s.read(buffer, ec); }));
    expect_cancelled(cancel_before_it_tries(
        [&s = ours](auto& ec) { return s.read_some_borrowed(100, ec).size(); }));
    expect_cancelled(cancel_before_it_tries([&s = ours](auto& ec) { return s.read_some({}, ec); }));
    EXPECT_EQ(read_some_text(ours), "untouched");
  });
}

TEST_F(Cancellation, is_told_before_the_socket_is_found_closed) {
  run([] {
    socket nothing;
    expect_cancelled(cancel_before_it_tries([&](auto& ec) { return nothing.write("x", ec); }));
  });
}

// ---- writing ---------------------------------------------------------------------------------

TEST_F(Cancellation, keeps_a_writer_from_sending_a_single_byte) {
  for (auto make : {tcp_pair, unix_pair}) {
    run([&] {
      auto [ours, peer] = make();
      expect_cancelled(
          cancel_before_it_tries([&s = ours](auto& ec) { return s.write("secret", ec); }));
      EXPECT_EQ(arrived_at(peer), "");
      ours.write("public");

      EXPECT_EQ(recv_all(peer, 6), "public");
    });
  }
}

TEST_F(Cancellation, of_a_writer_says_how_many_bytes_went_out) {
  const std::string data = pattern(std::size_t{32} << 20);
  for (auto make : {tcp_pair, unix_pair}) {
    run([&] {
      auto [ours, peer] = make();
      const outcome result =
          cancel_while_parked([&, &s = ours](auto& ec) { return s.write(data, ec); });
      EXPECT_EQ(result.ec, errc::cancelled);
      EXPECT_GT(result.count, 0u);
      EXPECT_LT(result.count, data.size());
      ours.shutdown();
      const std::string arrived = recv_until_end(peer);

      EXPECT_EQ(arrived.size(), result.count);
      EXPECT_TRUE(data.starts_with(arrived));
    });
  }
}

TEST_F(Cancellation, of_a_writer_leaves_the_socket_to_the_next_one) {
  run([] {
    auto [ours, peer] = unix_pair();
    const std::size_t before = fill(ours.native_handle());
    expect_cancelled(cancel_while_parked([&s = ours](auto& ec) { return s.write("no", ec); }));
    auto writer = spawn([&s = ours] { return s.write("yes"); });
    one_turn();
    recv_all(peer, before);
    writer.join();

    EXPECT_EQ(recv_all(peer, 3), "yes");
  });
}

// ---- the turns of several fibers -------------------------------------------------------------

TEST_F(Cancellation, in_the_queue_of_readers_passes_the_turn_on) {
  run([] {
    auto [ours, peer] = tcp_pair();
    auto first = spawn([&s = ours] { return read_text(s, 2); });
    auto second = spawn([&s = ours] {
      std::error_code ec;
      read_text(s, 2, ec);
      return ec;
    });
    auto third = spawn([&s = ours] { return read_text(s, 2); });
    one_turn();
    second.request_cancel();
    one_turn();
    ASSERT_TRUE(second.done());
    send_all(peer, "1133");
    first.join();
    third.join();

    EXPECT_EQ(first.result(), "11");
    EXPECT_EQ(second.result(), errc::cancelled);
    EXPECT_EQ(third.result(), "33");
  });
}

TEST_F(Cancellation, of_the_reader_whose_turn_it_is_passes_the_turn_on) {
  run([] {
    auto [ours, peer] = tcp_pair();
    auto first = spawn([&s = ours] {
      std::error_code ec;
      return read_into_array(s, ec);
    });
    auto second = spawn([&s = ours] { return read_some_text(s); });
    one_turn();
    first.request_cancel();
    first.join();
    send_all(peer, "for the second");
    second.join();

    EXPECT_EQ(first.result(), 0u);
    EXPECT_EQ(second.result(), "for the second");
  });
}

TEST_F(Cancellation, of_a_reader_that_was_woken_and_has_not_run_yet_leaves_the_bytes) {
  run([] {
    auto [ours, peer] = tcp_pair();
    auto [other, other_peer] = tcp_pair();
    std::string got;
    std::error_code ec;
    fiber<> reader;
    auto canceller = spawn([&, &o = other] {
      read_some_text(o);
      reader.request_cancel();
    });
    reader = spawn([&, &s = ours] { got = read_some_text(s, 100, ec); });
    one_turn();
    // One poll wakes both, the canceller first: it was the first to be registered.
    send_all(other_peer, "cancel it");
    send_all(peer, "abc");
    canceller.join();
    reader.join();
    EXPECT_EQ(got, "");
    EXPECT_EQ(ec, errc::cancelled);

    EXPECT_EQ(read_some_text(ours), "abc");
  });
}

TEST_F(Cancellation, of_a_writer_that_was_woken_and_has_not_run_yet_sends_nothing) {
  run([] {
    auto [ours, peer] = unix_pair();
    auto [other, other_peer] = tcp_pair();
    const std::size_t before = fill(ours.native_handle());
    std::error_code ec;
    fiber<std::size_t> writer;
    auto canceller = spawn([&, &o = other] {
      read_some_text(o);
      writer.request_cancel();
    });
    writer = spawn([&, &s = ours] { return s.write("never", ec); });
    one_turn();
    // One poll wakes both, the canceller first: its event comes first.
    send_all(other_peer, "cancel it");
    recv_all(peer, before);
    canceller.join();
    writer.join();

    EXPECT_EQ(writer.result(), 0u);
    EXPECT_EQ(ec, errc::cancelled);
    EXPECT_EQ(arrived_at(peer), "");
  });
}

TEST_F(Cancellation, of_a_writer_that_was_given_its_turn_and_has_not_run_sends_nothing) {
  run([] {
    auto [ours, peer] = unix_pair();
    const std::size_t before = fill(ours.native_handle());
    std::error_code ec;
    fiber<std::size_t> second;
    auto first = spawn([&, &s = ours] {
      s.write("1");
      // The turn is the second one's by now, but that has not run.
      second.request_cancel();
    });
    one_turn();
    second = spawn([&, &s = ours] { return s.write("2", ec); });
    auto third = spawn([&s = ours] { return s.write("3"); });
    one_turn();
    recv_all(peer, before);
    third.join();
    second.join();
    first.join();

    EXPECT_EQ(second.result(), 0u);
    EXPECT_EQ(ec, errc::cancelled);
    EXPECT_EQ(recv_all(peer, 2), "13");
    EXPECT_EQ(arrived_at(peer), "");
  });
}

// ---- listeners and datagrams -----------------------------------------------------------------

TEST_F(Cancellation, ends_the_wait_of_an_acceptor_and_the_next_one_gets_the_connection) {
  run([] {
    net::listener listening{endpoint::loopback_v4(0)};
    expect_cancelled(cancel_while_parked([&](auto& ec) {
      EXPECT_FALSE(listening.accept(ec).is_open());
      return 0u;
    }));
    const unique_fd client = connect_tcp(listening.local_endpoint().port());

    EXPECT_TRUE(listening.accept().is_open());
  });
}

TEST_F(Cancellation, keeps_an_acceptor_from_taking_a_connection_that_is_there) {
  run([] {
    net::listener listening{endpoint::loopback_v4(0)};
    const unique_fd client = connect_tcp(listening.local_endpoint().port());
    expect_cancelled(cancel_before_it_tries([&](auto& ec) {
      EXPECT_FALSE(listening.accept(ec).is_open());
      return 0u;
    }));

    EXPECT_TRUE(listening.accept().is_open());
  });
}

TEST_F(Cancellation, keeps_a_connector_from_connecting) {
  run([] {
    const unique_fd listening = listen_tcp();
    const auto address = endpoint::loopback_v4(local_port(listening));
    expect_cancelled(cancel_before_it_tries([&](auto& ec) {
      EXPECT_FALSE(socket::connect(address, ec).is_open());
      return 0u;
    }));

    pollfd queue{listening.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&queue, 1, 0), 0);
  });
}

TEST_F(Cancellation, ends_the_wait_of_a_datagram_receiver_and_the_next_one_gets_the_datagram) {
  run([] {
    net::datagram_socket receiver{endpoint::loopback_v4(0)};
    net::datagram_socket sender{endpoint::loopback_v4(0)};
    std::array<std::byte, 100> buffer;
    expect_cancelled(cancel_while_parked([&](auto& ec) { return receiver.receive(buffer, ec); }));
    sender.send_to(bytes_of("kept"), receiver.local_endpoint());
    expect_cancelled(
        cancel_before_it_tries([&](auto& ec) { return receiver.receive(buffer, ec); }));

    EXPECT_EQ(text_of(std::span{buffer}.first(receiver.receive(buffer))), "kept");
  });
}

TEST_F(Cancellation, keeps_a_datagram_sender_from_sending) {
  run([] {
    net::datagram_socket receiver{endpoint::loopback_v4(0)};
    net::datagram_socket sender{endpoint::loopback_v4(0)};
    const endpoint to = receiver.local_endpoint();
    expect_cancelled(
        cancel_before_it_tries([&](auto& ec) { return sender.send_to(bytes_of("no"), to, ec); }));
    sender.send_to(bytes_of("yes"), to);
    std::array<std::byte, 100> buffer;

    EXPECT_EQ(text_of(std::span{buffer}.first(receiver.receive(buffer))), "yes");
  });
}

TEST_F(Cancellation, unwinds_a_fiber_through_the_calls_that_throw) {
  run([] {
    auto [ours, peer] = tcp_pair();
    auto reader = spawn([&s = ours] { read_some_text(s); });
    one_turn();
    reader.request_cancel();
    reader.join();

    try {
      reader.result();
      ADD_FAILURE() << "it was cancelled";
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code(), errc::cancelled);
    }
  });
}

TEST_F(Cancellation, by_a_timeout_around_it_ends_a_wait_and_loses_nothing) {
  run([] {
    auto [ours, peer] = tcp_pair();
    net::listener listening{net::endpoint::loopback_v4(0)};
    std::error_code of_read, of_accept, of_late_read;
    {
      const timeout limit{std::chrono::milliseconds{2}};
      read_some_text(ours, 10, of_read);
      listening.accept(of_accept);
      send_all(peer, "late");
      read_some_text(ours, 10, of_late_read);  // transfers nothing
    }
    EXPECT_EQ(of_read, errc::timed_out);
    EXPECT_EQ(of_accept, errc::timed_out);
    EXPECT_EQ(of_late_read, errc::timed_out);
    EXPECT_EQ(read_some_text(ours, 10), "late");
  });
}

TEST_F(Cancellation, lets_a_fiber_that_ignores_it_freeze_nobody_and_names_it) {
  run([] {
    auto [ours, peer] = tcp_pair();
    bool stop = false;
    auto stubborn = spawn({.name = "stubborn"}, [&, &s = ours] {
      std::error_code ec;
      while (!stop) s.write("x", ec);
    });
    one_turn();
    stubborn.request_cancel();
    for (int i = 0; i < 30; ++i) one_turn();
    stop = true;
    stubborn.join();
  });
  const auto lines = take_diagnostics();

  ASSERT_FALSE(lines.empty());
  EXPECT_NE(lines[0].find("stubborn"), std::string::npos) << lines[0];
}

}  // namespace
}  // namespace weft::test
