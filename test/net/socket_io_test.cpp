// Reading and writing on one connection: what is transferred, and how its end is told.
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <span>
#include <string>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

#include "net_fixture.hpp"

namespace weft::test {
namespace {

using net::socket;

class SocketIo : public runtime_test {};

TEST_F(SocketIo, read_some_returns_what_is_there_without_waiting_for_a_full_buffer) {
  run([] {
    auto [ours, peer] = tcp_pair();
    send_all(peer, "abc");

    EXPECT_EQ(read_some_text(ours, 100), "abc");
  });
}

TEST_F(SocketIo, read_some_takes_no_more_than_the_buffer_holds_and_leaves_the_rest) {
  run([] {
    auto [ours, peer] = tcp_pair();
    send_all(peer, "abcdef");

    EXPECT_EQ(read_some_text(ours, 4), "abcd");
    EXPECT_EQ(read_some_text(ours, 4), "ef");
  });
}

TEST_F(SocketIo, read_some_waits_for_the_first_byte_and_lets_others_run) {
  run([] {
    auto [ours, peer] = tcp_pair();
    const auto sender = spawn([&peer = peer] { send_all(peer, "late"); });

    EXPECT_EQ(read_some_text(ours), "late");
    EXPECT_TRUE(sender.done());
  });
}

TEST_F(SocketIo, an_empty_buffer_is_read_and_written_at_once) {
  run([] {
    auto [ours, peer] = tcp_pair();
    std::error_code ec = errc::closed;

    EXPECT_EQ(ours.read_some({}, ec), 0u);
    EXPECT_FALSE(ec);
    EXPECT_EQ(ours.read({}, ec), 0u);
    EXPECT_FALSE(ec);
    EXPECT_EQ(ours.write(std::span<const std::byte>{}, ec), 0u);
    EXPECT_FALSE(ec);
  });
}

TEST_F(SocketIo, an_empty_buffer_is_read_at_once_even_while_another_fiber_reads) {
  run([] {
    auto [ours, peer] = tcp_pair();
    auto reader = spawn([&ours = ours] { return read_some_text(ours); });
    one_turn();

    EXPECT_EQ(ours.read_some({}), 0u);
    EXPECT_EQ(ours.read({}), 0u);
    EXPECT_FALSE(reader.done());

    send_all(peer, "x");
    reader.join();
  });
}

TEST_F(SocketIo, an_empty_buffer_tells_that_the_socket_is_closed) {
  run([] {
    socket nothing;
    std::error_code ec;

    EXPECT_EQ(nothing.read_some({}, ec), 0u);
    EXPECT_EQ(ec, errc::closed);
    EXPECT_EQ(nothing.write("", ec), 0u);
    EXPECT_EQ(ec, errc::closed);
  });
}

TEST_F(SocketIo, read_fills_the_buffer_from_as_many_pieces_as_it_takes) {
  run([] {
    auto [ours, peer] = tcp_pair();
    auto sender = spawn([&peer = peer] {
      for (const char* piece : {"one ", "two ", "three"}) {
        send_all(peer, piece);
        one_turn();
      }
    });

    EXPECT_EQ(read_text(ours, 13), "one two three");
    sender.join();
  });
}

TEST_F(SocketIo, read_tells_the_end_of_the_stream_and_how_much_came_before) {
  run([] {
    auto [ours, peer] = tcp_pair();
    send_all(peer, "abc");
    peer.reset();
    std::error_code ec;

    EXPECT_EQ(read_text(ours, 10, ec), "abc");
    EXPECT_EQ(ec, errc::eof);
  });
}

TEST_F(SocketIo, reports_eof_once_the_peer_has_closed_and_again_at_every_further_read) {
  for (auto make : {tcp_pair, unix_pair}) {
    run([&] {
      auto [ours, peer] = make();
      peer.reset();
      std::array<std::byte, 8> buffer;
      std::error_code ec;

      for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(ours.read_some(buffer, ec), 0u);
        EXPECT_EQ(ec, errc::eof);
      }
    });
  }
}

TEST_F(SocketIo, a_successful_call_clears_the_error_of_the_one_before) {
  run([] {
    auto [ours, peer] = tcp_pair();
    send_all(peer, "a");
    std::error_code ec = errc::eof;

    EXPECT_EQ(read_some_text(ours, 1, ec), "a");
    EXPECT_FALSE(ec);
    ec = errc::eof;
    EXPECT_EQ(ours.write("b", ec), 1u);
    EXPECT_FALSE(ec);
  });
}

TEST_F(SocketIo, the_throwing_calls_throw_what_the_others_report) {
  run([] {
    auto [ours, peer] = tcp_pair();
    peer.reset();
    socket closed;
    std::array<std::byte, 8> buffer;

    EXPECT_EQ(code_thrown_by([&, &o = ours] { o.read_some(buffer); }), errc::eof);
    EXPECT_EQ(code_thrown_by([&, &o = ours] { o.read(buffer); }), errc::eof);
    EXPECT_EQ(code_thrown_by([&] { closed.read_some(buffer); }), errc::closed);
    EXPECT_EQ(code_thrown_by([&] { closed.read(buffer); }), errc::closed);
    EXPECT_EQ(code_thrown_by([&] { closed.read_some_borrowed(); }), errc::closed);
    EXPECT_EQ(code_thrown_by([&] { closed.write("x"); }), errc::closed);
    EXPECT_EQ(code_thrown_by([&] { closed.shutdown(); }), errc::closed);
    EXPECT_EQ(code_thrown_by([&] { closed.local_endpoint(); }), errc::closed);
    EXPECT_EQ(code_thrown_by([&] { closed.remote_endpoint(); }), errc::closed);
    EXPECT_EQ(code_thrown_by([&] { closed.set_no_delay(true); }), errc::closed);
    EXPECT_EQ(code_thrown_by([&] { closed.set_linger({}); }), errc::closed);
    std::error_code ec;
    closed.set_keep_alive(true, ec);
    EXPECT_EQ(ec, errc::closed);
    closed.set_linger({}, ec);
    EXPECT_EQ(ec, errc::closed);
    EXPECT_EQ(code_thrown_by([&] { closed.get_option(SOL_SOCKET, SO_TYPE); }), errc::closed);
  });
}

TEST_F(SocketIo, a_large_transfer_survives_small_socket_buffers_in_both_directions) {
  run([] {
    const std::string there = pattern(std::size_t{512} << 10, 1);
    const std::string back = pattern(std::size_t{512} << 10, 2);
    for (auto make : {weft_tcp_pair, weft_unix_pair}) {
      auto [left, right] = make();
      for (socket* each : {&left, &right}) {
        each->set_send_buffer_size(16 * 1024);
        each->set_receive_buffer_size(16 * 1024);
      }
      auto left_writer = spawn([&, &s = left] { return s.write(there); });
      auto right_writer = spawn([&, &s = right] { return s.write(back); });
      auto left_reader = spawn([&, &s = left] { return read_text(s, back.size()); });
      std::string got;
      while (got.size() < there.size()) got += read_some_text(right, 1000);
      left_writer.join();
      right_writer.join();
      left_reader.join();

      EXPECT_TRUE(got == there);
      EXPECT_TRUE(left_reader.result() == back);
      EXPECT_EQ(left_writer.result(), there.size());
      EXPECT_EQ(right_writer.result(), back.size());
    }
  });
}

TEST_F(SocketIo, a_peer_that_sends_byte_by_byte_is_read_to_the_last_byte) {
  run([] {
    auto [ours, peer] = tcp_pair();
    const std::string message = pattern(300);
    auto sender = spawn([&, &peer = peer] {
      for (const char each : message) {
        send_all(peer, {&each, 1});
        one_turn();
      }
      peer.reset();
    });
    std::error_code ec;

    EXPECT_EQ(read_to_end(ours, ec), message);
    EXPECT_EQ(ec, errc::eof);
    sender.join();
  });
}

TEST_F(SocketIo, after_a_half_close_by_the_peer_there_is_eof_to_read_and_still_room_to_write) {
  for (auto make : {tcp_pair, unix_pair}) {
    run([&] {
      auto [ours, peer] = make();
      send_all(peer, "last words");
      ::shutdown(peer.get(), SHUT_WR);
      std::error_code ec;

      EXPECT_EQ(read_to_end(ours, ec), "last words");
      EXPECT_EQ(ec, errc::eof);
      EXPECT_EQ(ours.write("answer"), 6u);
      EXPECT_EQ(recv_all(peer, 6), "answer");
    });
  }
}

TEST_F(SocketIo, after_an_own_half_close_the_peer_sees_the_end_and_can_still_be_read) {
  for (auto make : {tcp_pair, unix_pair}) {
    run([&] {
      auto [ours, peer] = make();
      ours.write("question");
      ours.shutdown();

      EXPECT_EQ(recv_until_end(peer), "question");
      send_all(peer, "answer");
      EXPECT_EQ(read_text(ours, 6), "answer");
    });
  }
}

TEST_F(SocketIo, a_parked_reader_is_told_of_a_reset_by_the_peer) {
  run([] {
    auto [ours, peer] = tcp_pair();
    auto reader = spawn_reader(ours);
    one_turn();
    reset_by(peer);
    reader.join();

    EXPECT_EQ(reader.result(), std::errc::connection_reset);
  });
}

TEST_F(SocketIo, a_parked_writer_is_told_of_a_reset_by_the_peer) {
  run([] {
    auto [ours, peer] = tcp_pair();
    auto writer = spawn([&ours = ours] {
      std::error_code ec;
      ours.write(pattern(std::size_t{64} << 20), ec);
      return ec;
    });
    one_turn();
    ASSERT_FALSE(writer.done());
    reset_by(peer);
    writer.join();

    EXPECT_TRUE(writer.result() == std::errc::connection_reset ||
                writer.result() == std::errc::broken_pipe)
        << writer.result().message();
  });
}

TEST_F(SocketIo, writing_to_a_peer_that_is_gone_is_an_error_and_raises_no_sigpipe) {
  static volatile std::sig_atomic_t raised;
  raised = 0;
  const auto former = std::signal(SIGPIPE, [](int) { raised = 1; });
  for (auto make : {tcp_pair, unix_pair}) {
    run([&] {
      auto [ours, peer] = make();
      reset_by(peer);
      std::error_code ec;
      while (!ec) ours.write("anybody there?", ec);
      // A reset is told once; from then on the pipe is broken.
      ours.write("really?", ec);

      EXPECT_EQ(ec, std::errc::broken_pipe);
    });
  }
  std::signal(SIGPIPE, former);

  EXPECT_EQ(raised, 0);
}

TEST_F(SocketIo, writing_after_an_own_shutdown_is_a_broken_pipe) {
  run([] {
    auto [ours, peer] = tcp_pair();
    ours.shutdown(socket::side::write);
    std::error_code ec;

    EXPECT_EQ(ours.write("x", ec), 0u);
    EXPECT_EQ(ec, std::errc::broken_pipe);
  });
}

TEST_F(SocketIo, a_write_that_fails_halfway_says_how_many_bytes_went_out) {
  run([] {
    auto [ours, peer] = unix_pair();
    const std::string data = pattern(std::size_t{16} << 20);
    auto writer = spawn([&, &ours = ours] {
      std::error_code ec;
      const std::size_t written = ours.write(data, ec);
      EXPECT_EQ(ec, std::errc::broken_pipe);
      return written;
    });
    one_turn();
    ASSERT_FALSE(writer.done());
    // Its own end, so that what has gone out can still be counted.
    ours.shutdown(socket::side::write);
    const std::string arrived = recv_until_end(peer);
    writer.join();

    EXPECT_EQ(writer.result(), arrived.size());
    EXPECT_TRUE(data.starts_with(arrived));
  });
}

// The address of a parked fiber's errno is the thread's: what another call leaves there is not its.
TEST_F(SocketIo, errno_of_a_fiber_survives_the_failing_calls_of_others) {
  run([] {
    auto [ours, peer] = tcp_pair();
    auto reader = spawn([&ours = ours] {
      errno = ENOTTY;
      std::error_code ec;
      std::array<std::byte, 1> buffer;
      one_turn();
      const int after_yield = errno;
      ours.read_some(buffer, ec);
      return after_yield;
    });
    one_turn();
    ::close(-1);
    send_all(peer, "x");
    reader.join();

    EXPECT_EQ(reader.result(), ENOTTY);
  });
}

TEST_F(SocketIo, text_and_bytes_are_written_alike) {
  run([] {
    auto [ours, peer] = unix_pair();
    std::error_code ec;

    EXPECT_EQ(ours.write("text ", ec), 5u);
    EXPECT_EQ(ours.write("more "), 5u);
    EXPECT_EQ(ours.write(bytes_of("bytes "), ec), 6u);
    EXPECT_EQ(ours.write(bytes_of("end")), 3u);
    EXPECT_EQ(recv_all(peer, 19), "text more bytes end");
  });
}

}  // namespace
}  // namespace weft::test
