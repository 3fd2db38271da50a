// Reading and writing on one connection in coroutines: what is transferred, and how its end is
// told.
#include <array>
#include <csignal>
#include <cstddef>
#include <span>
#include <string>
#include <sys/socket.h>
#include <utility>

#include "coroutines.hpp"

namespace weft::test {
namespace {

using net::socket;

class CoSocket : public runtime_test {};

TEST_F(CoSocket, read_some_returns_what_is_there_without_waiting_for_a_full_buffer) {
  run([] {
    auto [ours, peer] = tcp_pair();
    send_all(peer, "abc");

    EXPECT_EQ(co::block_on(co_read_some_text(ours, 100)), "abc");
  });
}

TEST_F(CoSocket, read_some_takes_no_more_than_the_buffer_holds_and_leaves_the_rest) {
  run([] {
    auto [ours, peer] = tcp_pair();
    send_all(peer, "abcdef");

    EXPECT_EQ(co::block_on(co_read_some_text(ours, 4)), "abcd");
    EXPECT_EQ(co::block_on(co_read_some_text(ours, 4)), "ef");
  });
}

TEST_F(CoSocket, read_some_waits_for_the_first_byte_and_lets_others_run) {
  run([] {
    auto [ours, peer] = tcp_pair();
    auto reader = co::spawn(co_read_some_text(ours));
    one_turn();
    EXPECT_FALSE(reader.done());
    send_all(peer, "late");
    reader.join();

    EXPECT_EQ(reader.result(), "late");
  });
}

TEST_F(CoSocket, an_empty_buffer_is_read_and_written_at_once) {
  run([] {
    auto [ours, peer] = tcp_pair();
    in_coroutine([&s = ours]() -> co::task<> {
      std::error_code ec = errc::closed;
      std::size_t count = co_await s.co_read_some({}, ec);
      EXPECT_EQ(count, 0u);
      EXPECT_FALSE(ec);
      ec = errc::closed;
      count = co_await s.co_read({}, ec);
      EXPECT_EQ(count, 0u);
      EXPECT_FALSE(ec);
      ec = errc::closed;
      count = co_await s.co_write("", ec);
      EXPECT_EQ(count, 0u);
      EXPECT_FALSE(ec);
      ec = errc::closed;
      const auto lent = co_await s.co_read_some_borrowed(0, ec);
      EXPECT_TRUE(lent.empty());
      EXPECT_FALSE(ec);
    });
  });
}

TEST_F(CoSocket, an_empty_buffer_is_read_at_once_even_while_another_task_reads) {
  run([] {
    auto [ours, peer] = tcp_pair();
    auto reader = co_spawn_reader(ours);
    one_turn();
    in_coroutine([&s = ours]() -> co::task<> {
      co_await s.co_read_some({});
      co_await s.co_read({});
      co_await s.co_read_some_borrowed(0);
    });
    EXPECT_FALSE(reader.done());

    send_all(peer, "x");
    reader.join();
  });
}

TEST_F(CoSocket, an_empty_buffer_tells_that_the_socket_is_closed) {
  run([] {
    socket nothing;
    auto [closed, peer] = tcp_pair();
    closed.close();
    for (socket* each : {&nothing, &closed}) {
      in_coroutine([&s = *each]() -> co::task<> {
        std::error_code ec;
        co_await s.co_read_some({}, ec);
        EXPECT_EQ(ec, errc::closed);
        co_await s.co_read({}, ec);
        EXPECT_EQ(ec, errc::closed);
        co_await s.co_read_some_borrowed(0, ec);
        EXPECT_EQ(ec, errc::closed);
        co_await s.co_write("", ec);
        EXPECT_EQ(ec, errc::closed);
      });
    }
  });
}

TEST_F(CoSocket, read_fills_the_buffer_from_as_many_pieces_as_it_takes) {
  run([] {
    auto [ours, peer] = tcp_pair();
    auto reader = co::spawn(co_read_text(ours, 13));
    for (const char* piece : {"one ", "two ", "three"}) {
      send_all(peer, piece);
      one_turn();
    }
    reader.join();

    EXPECT_EQ(reader.result(), "one two three");
  });
}

TEST_F(CoSocket, read_tells_the_end_of_the_stream_and_how_much_came_before) {
  run([] {
    auto [ours, peer] = tcp_pair();
    send_all(peer, "abc");
    peer.reset();
    std::error_code ec;

    EXPECT_EQ(co::block_on(co_read_text(ours, 10, ec)), "abc");
    EXPECT_EQ(ec, errc::eof);
  });
}

TEST_F(CoSocket, reports_eof_once_the_peer_has_closed_and_again_at_every_further_read) {
  for (auto make : {tcp_pair, unix_pair}) {
    run([&] {
      auto [ours, peer] = make();
      peer.reset();
      in_coroutine([&s = ours]() -> co::task<> {
        for (int i = 0; i < 3; ++i) {
          std::array<std::byte, 8> buffer;
          std::error_code ec;
          const std::size_t count = co_await s.co_read_some(buffer, ec);
          EXPECT_EQ(count, 0u);
          EXPECT_EQ(ec, errc::eof);
        }
      });
    });
  }
}

TEST_F(CoSocket, a_successful_call_clears_the_error_of_the_one_before) {
  run([] {
    auto [ours, peer] = tcp_pair();
    send_all(peer, "a");
    in_coroutine([&s = ours]() -> co::task<> {
      std::error_code ec = errc::eof;
      const std::string got = co_await co_read_some_text(s, 1, ec);
      EXPECT_EQ(got, "a");
      EXPECT_FALSE(ec);
      ec = errc::eof;
      const std::size_t count = co_await s.co_write("b", ec);
      EXPECT_EQ(count, 1u);
      EXPECT_FALSE(ec);
    });
  });
}

TEST_F(CoSocket, the_throwing_forms_throw_what_the_others_report) {
  run([] {
    auto [ours, peer] = tcp_pair();
    peer.reset();
    socket closed;
    std::array<std::byte, 8> buffer;

    EXPECT_EQ(code_thrown_when_awaiting([&, &o = ours] { return o.co_read_some(buffer); }),
              errc::eof);
    EXPECT_EQ(code_thrown_when_awaiting([&, &o = ours] { return o.co_read(buffer); }), errc::eof);
    EXPECT_EQ(code_thrown_when_awaiting([&] { return closed.co_read_some(buffer); }), errc::closed);
    EXPECT_EQ(code_thrown_when_awaiting([&] { return closed.co_read(buffer); }), errc::closed);
    EXPECT_EQ(code_thrown_when_awaiting([&] { return closed.co_read_some_borrowed(); }),
              errc::closed);
    EXPECT_EQ(code_thrown_when_awaiting([&] { return closed.co_write("x"); }), errc::closed);
    EXPECT_EQ(code_thrown_when_awaiting([&] { return closed.co_write(""); }), errc::closed);
  });
}

TEST_F(CoSocket, a_large_transfer_survives_small_socket_buffers_in_both_directions) {
  run([] {
    const std::string there = pattern(std::size_t{512} << 10, 1);
    const std::string back = pattern(std::size_t{512} << 10, 2);
    for (auto make : {weft_tcp_pair, weft_unix_pair}) {
      auto [left, right] = make();
      for (socket* each : {&left, &right}) {
        each->set_send_buffer_size(16 * 1024);
        each->set_receive_buffer_size(16 * 1024);
      }
      auto left_writer = co_spawn_writer(left, there);
      auto right_writer = co_spawn_writer(right, back);
      auto left_reader = co::spawn(co_read_text(left, back.size()));
      auto right_reader = co::spawn([&, &s = right]() -> co::task<std::string> {
        std::string got;
        while (got.size() < there.size()) got += co_await co_read_some_text(s, 1000);
        co_return got;
      });
      left_writer.join();
      right_writer.join();
      left_reader.join();
      right_reader.join();

      EXPECT_TRUE(right_reader.result() == there);
      EXPECT_TRUE(left_reader.result() == back);
      EXPECT_EQ(left_writer.result().count, there.size());
      EXPECT_EQ(right_writer.result().count, back.size());
    }
  });
}

TEST_F(CoSocket, a_peer_that_sends_byte_by_byte_is_read_to_the_last_byte) {
  run([] {
    auto [ours, peer] = tcp_pair();
    const std::string message = pattern(300);
    std::error_code ec;
    auto reader = co::spawn(co_read_to_end(ours, ec));
    for (const char each : message) {
      send_all(peer, {&each, 1});
      one_turn();
    }
    peer.reset();
    reader.join();

    EXPECT_EQ(reader.result(), message);
    EXPECT_EQ(ec, errc::eof);
  });
}

TEST_F(CoSocket, after_a_half_close_by_the_peer_there_is_eof_to_read_and_still_room_to_write) {
  for (auto make : {tcp_pair, unix_pair}) {
    run([&] {
      auto [ours, peer] = make();
      send_all(peer, "last words");
      ::shutdown(peer.get(), SHUT_WR);
      in_coroutine([&s = ours]() -> co::task<> {
        std::error_code ec;
        const std::string got = co_await co_read_to_end(s, ec);
        EXPECT_EQ(got, "last words");
        EXPECT_EQ(ec, errc::eof);
        co_await s.co_write("answer");
      });

      EXPECT_EQ(recv_all(peer, 6), "answer");
    });
  }
}

TEST_F(CoSocket, after_an_own_half_close_the_peer_sees_the_end_and_can_still_be_read) {
  for (auto make : {tcp_pair, unix_pair}) {
    run([&] {
      auto [ours, peer] = make();
      auto child = co::spawn([&s = ours]() -> co::task<std::string> {
        co_await s.co_write("question");
        s.shutdown();
        co_return co_await co_read_text(s, 6);
      });
      one_turn();
      EXPECT_EQ(recv_until_end(peer), "question");
      send_all(peer, "answer");
      child.join();

      EXPECT_EQ(child.result(), "answer");
    });
  }
}

TEST_F(CoSocket, a_suspended_reader_is_told_of_a_reset_by_the_peer) {
  run([] {
    auto [ours, peer] = tcp_pair();
    auto reader = co_spawn_reader(ours);
    one_turn();
    reset_by(peer);
    reader.join();

    EXPECT_EQ(reader.result(), std::errc::connection_reset);
  });
}

TEST_F(CoSocket, a_suspended_writer_is_told_of_a_reset_by_the_peer) {
  run([] {
    auto [ours, peer] = tcp_pair();
    const std::string data = pattern(std::size_t{64} << 20);
    auto writer = co_spawn_writer(ours, data);
    one_turn();
    ASSERT_FALSE(writer.done());
    reset_by(peer);
    writer.join();

    EXPECT_TRUE(writer.result().ec == std::errc::connection_reset ||
                writer.result().ec == std::errc::broken_pipe)
        << writer.result().ec.message();
  });
}

TEST_F(CoSocket, writing_to_a_peer_that_is_gone_is_an_error_and_raises_no_sigpipe) {
  static volatile std::sig_atomic_t raised;
  raised = 0;
  const auto former = std::signal(SIGPIPE, [](int) { raised = 1; });
  for (auto make : {tcp_pair, unix_pair}) {
    run([&] {
      auto [ours, peer] = make();
      reset_by(peer);
      const std::error_code seen = in_coroutine([&s = ours]() -> co::task<std::error_code> {
        std::error_code ec;
        while (!ec) co_await s.co_write("anybody there?", ec);
        co_await s.co_write("really?", ec);
        co_return ec;
      });

      EXPECT_EQ(seen, std::errc::broken_pipe);
    });
  }
  std::signal(SIGPIPE, former);

  EXPECT_EQ(raised, 0);
}

TEST_F(CoSocket, a_write_that_fails_halfway_says_how_many_bytes_went_out) {
  run([] {
    auto [ours, peer] = unix_pair();
    const std::string data = pattern(std::size_t{16} << 20);
    auto writer = co_spawn_writer(ours, data);
    one_turn();
    ASSERT_FALSE(writer.done());
    // Its own end, so that what has gone out can still be counted.
    ours.shutdown(socket::side::write);
    const std::string arrived = recv_until_end(peer);
    writer.join();

    EXPECT_EQ(writer.result().ec, std::errc::broken_pipe);
    EXPECT_EQ(writer.result().count, arrived.size());
    EXPECT_TRUE(data.starts_with(arrived));
  });
}

TEST_F(CoSocket, an_operation_that_is_never_awaited_does_nothing) {
  run([] {
    auto [ours, peer] = unix_pair();
    send_all(peer, "there");
    std::array<std::byte, 8> buffer;
    { (void)ours.co_write("never sent"); }
    { (void)ours.co_read_some(buffer); }
    { (void)ours.co_read_some_borrowed(); }

    EXPECT_EQ(arrived_at(peer), "");
    EXPECT_EQ(read_some_text(ours), "there");
  });
}

TEST_F(CoSocket, an_operation_may_be_made_before_the_socket_is_closed_and_awaited_after) {
  run([] {
    auto [ours, peer] = unix_pair();
    send_all(peer, "there");
    const std::error_code seen = in_coroutine([&s = ours]() -> co::task<std::error_code> {
      std::array<std::byte, 8> buffer;
      std::error_code ec;
      auto read = s.co_read_some(buffer, ec);
      s.close();
      co_await std::move(read);
      co_return ec;
    });

    EXPECT_EQ(seen, errc::closed);
  });
}

}  // namespace
}  // namespace weft::test
