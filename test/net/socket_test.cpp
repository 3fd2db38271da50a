// Moving and shutting down sockets, and their options.
#include <chrono>
#include <climits>
#include <cstdint>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <optional>
#include <sys/socket.h>
#include <system_error>
#include <utility>

#include "net_fixture.hpp"

namespace weft::test {
namespace {

using net::endpoint;
using net::socket;

// ---- moving ----------------------------------------------------------------------------------

class MoveSocket : public runtime_test {};

TEST_F(MoveSocket, takes_the_connection_along_and_closes_the_one_assigned_to) {
  run([] {
    auto [first, first_peer] = tcp_pair();
    auto [second, second_peer] = tcp_pair();
    const int fd = first.native_handle();

    socket third = std::move(first);
    EXPECT_FALSE(first.is_open());
    EXPECT_EQ(third.native_handle(), fd);

    second = std::move(third);
    EXPECT_EQ(second.native_handle(), fd);
    EXPECT_EQ(recv_until_end(second_peer), "");
    second.write("x");
    EXPECT_EQ(recv_all(first_peer, 1), "x");
  });
}

TEST_F(MoveSocket, does_not_disturb_a_fiber_that_waits_on_it) {
  run([] {
    auto [ours, peer] = tcp_pair();
    auto reader = spawn([&ours = ours] { return read_text(ours, 4); });
    one_turn();
    socket elsewhere = std::move(ours);
    send_all(peer, "on");
    one_turn();
    send_all(peer, "on");
    reader.join();

    EXPECT_EQ(reader.result(), "onon");
    EXPECT_TRUE(elsewhere.is_open());
  });
}

// ---- shutdown --------------------------------------------------------------------------------

class Shutdown : public runtime_test {};

TEST_F(Shutdown, of_the_reading_side_ends_the_stream_for_an_own_reader) {
  for (auto make : {tcp_pair, unix_pair}) {
    for (const auto which : {socket::side::read, socket::side::both}) {
      run([&] {
        auto [ours, peer] = make();
        auto reader = spawn_reader(ours);
        one_turn();
        ours.shutdown(which);
        reader.join();

        EXPECT_EQ(reader.result(), errc::eof);
      });
    }
  }
}

TEST_F(Shutdown, of_the_writing_side_ends_an_own_writer_and_leaves_an_own_reader_alone) {
  for (auto make : {tcp_pair, unix_pair}) {
    run([&] {
      auto [ours, peer] = make();
      fill(ours.native_handle());
      auto writer = spawn([&ours = ours] {
        std::error_code ec;
        ours.write("x", ec);
        return ec;
      });
      auto reader = spawn([&ours = ours] { return read_some_text(ours); });
      one_turn();
      ours.shutdown(socket::side::write);
      writer.join();

      EXPECT_EQ(writer.result(), std::errc::broken_pipe);
      EXPECT_FALSE(reader.done());
      send_all(peer, "for the reader");
      reader.join();
      EXPECT_EQ(reader.result(), "for the reader");
    });
  }
}

TEST_F(Shutdown, of_what_is_not_connected_is_an_error) {
  run([] {
    socket lonely = socket::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    std::error_code ec;
    lonely.shutdown(socket::side::both, ec);

    EXPECT_EQ(ec, std::errc::not_connected);
  });
}

// ---- options ---------------------------------------------------------------------------------

class Options : public runtime_test {};

TEST_F(Options, are_set_and_read_back) {
  run([] {
    auto [ours, peer] = tcp_pair();
    ours.set_no_delay(false);
    EXPECT_EQ(ours.get_option(IPPROTO_TCP, TCP_NODELAY), 0);
    ours.set_no_delay(true);
    EXPECT_NE(ours.get_option(IPPROTO_TCP, TCP_NODELAY), 0);
    ours.set_keep_alive(true);
    EXPECT_NE(ours.get_option(SOL_SOCKET, SO_KEEPALIVE), 0);
    ours.set_keep_alive(false);
    EXPECT_EQ(ours.get_option(SOL_SOCKET, SO_KEEPALIVE), 0);
    ours.set_send_buffer_size(32 * 1024);
    EXPECT_EQ(ours.get_option(SOL_SOCKET, SO_SNDBUF), 64 * 1024);  // doubled, man 7 socket
    ours.set_receive_buffer_size(32 * 1024);
    EXPECT_EQ(ours.get_option(SOL_SOCKET, SO_RCVBUF), 64 * 1024);
  });
}

TEST_F(Options, of_listeners_and_datagram_sockets_are_set_and_read_back) {
  run([] {
    net::listener listening{endpoint::loopback_v4(0)};
    listening.set_option(SOL_SOCKET, SO_RCVBUF, 32 * 1024);
    EXPECT_EQ(listening.get_option(SOL_SOCKET, SO_RCVBUF), 64 * 1024);
    net::datagram_socket datagrams{endpoint::loopback_v4(0)};
    datagrams.set_option(SOL_SOCKET, SO_BROADCAST, 1);
    EXPECT_EQ(datagrams.get_option(SOL_SOCKET, SO_BROADCAST), 1);

    listening.close();
    datagrams.close();
    EXPECT_EQ(code_thrown_by([&] { listening.set_option(SOL_SOCKET, SO_RCVBUF, 1); }),
              errc::closed);
    EXPECT_EQ(code_thrown_by([&] { listening.get_option(SOL_SOCKET, SO_RCVBUF); }), errc::closed);
    EXPECT_EQ(code_thrown_by([&] { datagrams.get_option(SOL_SOCKET, SO_TYPE); }), errc::closed);
  });
}

TEST_F(Options, that_do_not_fit_are_errors) {
  run([] {
    auto [ours, peer] = unix_pair();
    std::error_code ec;
    ours.set_option(SOL_SOCKET, -1, 0, ec);

    EXPECT_EQ(ec, std::errc::no_protocol_option);
    EXPECT_THROW(ours.set_no_delay(true), std::system_error);
    EXPECT_THROW((void)ours.get_option(SOL_SOCKET, -1), std::system_error);
  });
}

TEST_F(Options, a_linger_of_zero_seconds_resets_the_connection_at_close) {
  run([] {
    auto [ours, peer] = weft_tcp_pair();
    ours.set_linger(std::chrono::seconds{0});
    ours.close();
    std::error_code ec;
    read_some_text(peer, 10, ec);

    EXPECT_EQ(ec, std::errc::connection_reset);
  });
}

TEST_F(Options, a_linger_beyond_what_the_system_counts_is_the_longest_there_is) {
  run([] {
    auto [ours, peer] = tcp_pair();
    for (const std::int64_t seconds :
         {std::int64_t{INT_MAX}, std::int64_t{INT_MAX} + 1, std::int64_t{1} << 32, INT64_MAX}) {
      ours.set_linger(std::chrono::seconds{seconds});
      linger set{};
      socklen_t size = sizeof set;
      ASSERT_EQ(::getsockopt(ours.native_handle(), SOL_SOCKET, SO_LINGER, &set, &size), 0);

      EXPECT_EQ(set.l_onoff, 1);
      EXPECT_EQ(set.l_linger, INT_MAX);
    }
  });
}

TEST_F(Options, a_linger_of_less_than_nothing_is_refused) {
  run([] {
    auto [ours, peer] = tcp_pair();
    EXPECT_EQ(code_thrown_by([&s = ours] { s.set_linger(std::chrono::seconds{-1}); }),
              std::errc::invalid_argument);
    linger set{};
    socklen_t size = sizeof set;
    ASSERT_EQ(::getsockopt(ours.native_handle(), SOL_SOCKET, SO_LINGER, &set, &size), 0);

    EXPECT_EQ(set.l_onoff, 0);
  });
}

TEST_F(Options, a_buffer_beyond_what_the_system_counts_is_the_largest_there_is) {
  run([] {
    auto [ours, peer] = unix_pair();
    ours.set_send_buffer_size(INT_MAX);
    ours.set_receive_buffer_size(INT_MAX);
    const int most_sent = ours.get_option(SOL_SOCKET, SO_SNDBUF);
    const int most_received = ours.get_option(SOL_SOCKET, SO_RCVBUF);
    ours.set_send_buffer_size(std::size_t{1} << 32);
    ours.set_receive_buffer_size(std::size_t{1} << 32);

    EXPECT_EQ(ours.get_option(SOL_SOCKET, SO_SNDBUF), most_sent);
    EXPECT_EQ(ours.get_option(SOL_SOCKET, SO_RCVBUF), most_received);
  });
}

TEST_F(Options, without_a_linger_the_peer_gets_what_was_written_before_the_close) {
  run([] {
    auto [ours, peer] = weft_tcp_pair();
    ours.set_linger(std::chrono::seconds{0});
    ours.set_linger(std::nullopt);
    ours.write("everything");
    ours.close();
    std::error_code ec;

    EXPECT_EQ(read_to_end(peer, ec), "everything");
    EXPECT_EQ(ec, errc::eof);
  });
}

TEST_F(Options, the_names_of_a_closed_socket_are_errors) {
  run([] {
    const socket nothing;
    std::error_code ec;

    EXPECT_EQ(nothing.local_endpoint(ec), endpoint{});
    EXPECT_EQ(ec, errc::closed);
    EXPECT_EQ(nothing.remote_endpoint(ec), endpoint{});
    EXPECT_EQ(ec, errc::closed);
  });
}

}  // namespace
}  // namespace weft::test
