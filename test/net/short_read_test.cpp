// When a read that got less than it asked for has read everything: only on a TCP stream without
// urgent data and half-close. Everywhere else bytes stay unread and no further event tells of
// them, so each test here reads on and must get every byte.
#include <array>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "net_fixture.hpp"
#include "system_calls.hpp"

namespace weft::test {
namespace {

using net::socket;

class ShortRead : public watched_calls_test {};

// A reader that has had its first event and is parked: the socket is registered by then.
void register_with_poller(socket& ours, const unique_fd& peer) {
  auto sender = spawn([&] { send_all(peer, "!"); });
  ASSERT_EQ(read_some_text(ours), "!");
  sender.join();
}

// Reads until `size` bytes have come, whatever the pieces.
std::string read_pieces(socket& ours, std::size_t size) {
  std::string got;
  while (got.size() < size) got += read_some_text(ours, 100);
  return got;
}

// Sends ordinary bytes around one urgent byte at `position`, all before anything is read.
void send_around_urgent(const unique_fd& peer, std::string_view text, std::size_t position) {
  if (position != 0) send_all(peer, text.substr(0, position));
  send_urgent(peer, 'U');
  if (position != text.size()) send_all(peer, text.substr(position));
}

// ---- a plain TCP stream ----------------------------------------------------------------------

TEST_F(ShortRead, on_a_tcp_stream_makes_no_further_recv_and_parks) {
  run([] {
    auto [ours, peer] = tcp_pair();
    register_with_poller(ours, peer);
    auto reader = spawn([&ours = ours] {
      read_some_text(ours, 100);
      return read_some_text(ours, 100);
    });
    one_turn();
    system_calls().recv_calls = 0;
    send_all(peer, "first");
    give_way_until([] { return system_calls().recv_calls != 0; });
    for (int i = 0; i < 200; ++i) one_turn();

    EXPECT_EQ(system_calls().recv_calls, 1u);
    EXPECT_FALSE(reader.done());
    send_all(peer, "second");
    reader.join();
    EXPECT_EQ(reader.result(), "second");
    EXPECT_EQ(system_calls().recv_calls, 2u);
  });
}

TEST_F(ShortRead, on_a_tcp_stream_costs_one_recv_an_exchange) {
  run([] {
    auto [left, right] = weft_tcp_pair();
    auto echo = spawn([&s = right] {
      while (const auto data = s.read_some_borrowed()) s.write(data);
    });
    left.write("warm up");
    read_some_text(left);
    system_calls() = {};
    for (int i = 0; i < 100; ++i) {
      left.write("ping");
      ASSERT_EQ(read_some_text(left), "ping");
    }
    left.shutdown();
    echo.join();

    // 200 messages and one end.
    EXPECT_LE(system_calls().recv_calls, 202u);
    EXPECT_EQ(system_calls().send_calls, 200u);
  });
}

TEST_F(ShortRead, a_buffer_exactly_as_large_as_the_data_loses_nothing) {
  for (auto make : {tcp_pair, unix_pair}) {
    run([&] {
      auto [ours, peer] = make();
      register_with_poller(ours, peer);
      for (int round = 0; round < 10; ++round) {
        send_all(peer, "12345678");
        EXPECT_EQ(read_some_text(ours, 8), "12345678");
        auto sender = spawn([&peer = peer] { send_all(peer, "abcdefgh"); });
        EXPECT_EQ(read_some_text(ours, 8), "abcdefgh");
      }
      peer.reset();
      std::error_code ec;
      EXPECT_EQ(read_to_end(ours, ec), "");
      EXPECT_EQ(ec, errc::eof);
    });
  }
}

TEST_F(ShortRead, data_that_arrives_between_the_short_read_and_the_park_is_read) {
  for (const bool registered : {false, true}) {
    run([&] {
      auto [ours, peer] = tcp_pair();
      if (registered) register_with_poller(ours, peer);
      send_all(peer, "first");
      system_calls().after_recv = [&peer = peer](ssize_t) {
        system_calls().after_recv = nullptr;
        send_all(peer, "second");
      };

      EXPECT_EQ(read_some_text(ours, 100), "first");
      EXPECT_EQ(read_some_text(ours, 100), "second");
    });
  }
}

TEST_F(ShortRead, an_end_that_arrives_between_the_short_read_and_the_park_is_seen) {
  for (const bool registered : {false, true}) {
    for (const bool reset : {false, true}) {
      run([&] {
        auto [ours, peer] = tcp_pair();
        if (registered) register_with_poller(ours, peer);
        send_all(peer, "first");
        system_calls().after_recv = [&peer = peer, reset](ssize_t) {
          system_calls().after_recv = nullptr;
          reset ? reset_by(peer) : peer.reset();
        };
        std::error_code ec;

        EXPECT_EQ(read_to_end(ours, ec, 100), "first");
        EXPECT_TRUE(reset ? ec == std::errc::connection_reset : ec == errc::eof) << ec.message();
      });
    }
  }
}

// ---- out-of-band data ------------------------------------------------------------------------

constexpr std::string_view ordinary = "abcdefghij";

TEST_F(ShortRead, no_ordinary_byte_is_lost_around_an_urgent_one_that_came_before_the_reader) {
  for (const bool registered : {false, true}) {
    for (std::size_t position = 0; position <= ordinary.size(); position += 5) {
      run([&] {
        auto [ours, peer] = tcp_pair();
        if (registered) register_with_poller(ours, peer);
        send_around_urgent(peer, ordinary, position);

        EXPECT_EQ(read_pieces(ours, ordinary.size()), ordinary) << "urgent at " << position;
      });
    }
  }
}

TEST_F(ShortRead, no_ordinary_byte_is_lost_around_an_urgent_one_that_wakes_the_reader) {
  for (std::size_t position = 0; position <= ordinary.size(); position += 5) {
    run([&] {
      auto [ours, peer] = tcp_pair();
      register_with_poller(ours, peer);
      auto reader = spawn([&ours = ours] { return read_pieces(ours, ordinary.size()); });
      one_turn();
      send_around_urgent(peer, ordinary, position);
      reader.join();

      EXPECT_EQ(reader.result(), ordinary) << "urgent at " << position;
    });
  }
}

// The reader's event told of ordinary bytes alone; the urgent one comes before it has parked again.
TEST_F(ShortRead, no_ordinary_byte_is_lost_when_the_urgent_one_comes_after_the_event) {
  for (const bool in_line : {false, true}) {
    for (std::size_t position = 0; position <= 6; position += 3) {
      run([&] {
        auto [ours, peer] = tcp_pair();
        if (in_line) ours.set_option(SOL_SOCKET, SO_OOBINLINE, 1);
        register_with_poller(ours, peer);
        auto reader = spawn([&, &s = ours] { return read_pieces(s, in_line ? 10 : 9); });
        one_turn();
        send_all(peer, "abc");
        // The hook comes after the first recv(2), so the mark lies behind what that could see.
        system_calls().after_recv = [&, &p = peer](ssize_t) {
          system_calls().after_recv = nullptr;
          send_around_urgent(p, "defghi", position);
        };
        reader.join();
        std::string got = reader.result();
        EXPECT_EQ(std::erase(got, 'U'), in_line ? 1u : 0u);

        EXPECT_EQ(got, "abcdefghi") << "urgent at " << position;
      });
    }
  }
}

// The mark of urgent data lies within what the first recv(2) finds, but the event came before.
TEST_F(ShortRead, no_ordinary_byte_is_lost_when_the_urgent_one_comes_between_event_and_read) {
  for (const bool in_line : {false, true}) {
    for (std::size_t position = 0; position <= 6; position += 3) {
      run([&] {
        auto [ours, peer] = tcp_pair();
        auto [other, other_peer] = tcp_pair();
        if (in_line) ours.set_option(SOL_SOCKET, SO_OOBINLINE, 1);
        auto sender = spawn([&, &o = other, &p = peer] {
          read_some_text(o);
          send_around_urgent(p, "defghi", position);
        });
        auto reader = spawn([&, &s = ours] { return read_pieces(s, in_line ? 10 : 9); });
        one_turn();
        // One poll wakes both, the sender first: it was the first to be registered.
        send_all(other_peer, "go");
        send_all(peer, "abc");
        reader.join();
        sender.join();
        std::string got = reader.result();
        EXPECT_EQ(std::erase(got, 'U'), in_line ? 1u : 0u);

        EXPECT_EQ(got, "abcdefghi") << "urgent at " << position;
      });
    }
  }
}

// An urgent byte that nobody has taken becomes an ordinary one when the next comes (man 7 tcp).
TEST_F(ShortRead, no_ordinary_byte_is_lost_when_urgent_bytes_come_again_and_again) {
  run([] {
    auto [ours, peer] = tcp_pair();
    auto reader = spawn([&ours = ours] {
      std::error_code ec;
      std::string got = read_to_end(ours, ec, 100);
      std::erase(got, 'U');
      return got;
    });
    std::string sent;
    for (int i = 0; i < 100; ++i) {
      const std::string piece = std::to_string(100 + i);
      send_around_urgent(peer, piece, static_cast<std::size_t>(i) % 4);
      sent += piece;
      if (i % 3 == 0) one_turn();
    }
    peer.reset();
    reader.join();

    EXPECT_EQ(reader.result(), sent);
  });
}

TEST_F(ShortRead, an_urgent_byte_among_the_others_is_read_in_its_place) {
  for (const bool registered : {false, true}) {
    for (std::size_t position = 0; position <= ordinary.size(); position += 5) {
      run([&] {
        auto [ours, peer] = tcp_pair();
        ours.set_option(SOL_SOCKET, SO_OOBINLINE, 1);
        if (registered) register_with_poller(ours, peer);
        auto sender = spawn([&, &peer = peer] { send_around_urgent(peer, ordinary, position); });
        const std::string expected =
            std::string(ordinary.substr(0, position)).append("U").append(ordinary.substr(position));

        EXPECT_EQ(read_pieces(ours, expected.size()), expected);
        sender.join();
      });
    }
  }
}

TEST_F(ShortRead, the_rule_holds_again_once_the_urgent_data_is_behind) {
  run([] {
    auto [ours, peer] = tcp_pair();
    register_with_poller(ours, peer);
    send_around_urgent(peer, "abcdef", 3);
    ASSERT_EQ(read_pieces(ours, 6), "abcdef");
    auto reader = spawn([&ours = ours] {
      read_some_text(ours, 100);
      read_some_text(ours, 100);
    });
    one_turn();
    system_calls().recv_calls = 0;
    send_all(peer, "plain");
    give_way_until([] { return system_calls().recv_calls != 0; });
    for (int i = 0; i < 200; ++i) one_turn();

    EXPECT_EQ(system_calls().recv_calls, 1u);
    send_all(peer, "again");
    reader.join();
  });
}

TEST_F(ShortRead, the_end_after_an_urgent_byte_is_seen) {
  run([] {
    auto [ours, peer] = tcp_pair();
    register_with_poller(ours, peer);
    send_around_urgent(peer, "abc", 3);
    peer.reset();
    std::error_code ec;

    EXPECT_EQ(read_to_end(ours, ec, 100), "abc");
    EXPECT_EQ(ec, errc::eof);
  });
}

// ---- half-close and reset --------------------------------------------------------------------

TEST_F(ShortRead, data_that_is_pending_at_a_half_close_is_read_to_the_last_byte) {
  const std::string data = pattern(10'000);
  for (auto make : {tcp_pair, unix_pair}) {
    for (const std::size_t step : {1'000u, 10'000u, 100'000u}) {
      run([&] {
        auto [ours, peer] = make();
        register_with_poller(ours, peer);
        auto reader = spawn([&, &ours = ours] {
          std::error_code ec;
          std::string got = read_to_end(ours, ec, step);
          EXPECT_EQ(ec, errc::eof);
          return got;
        });
        one_turn();
        send_all(peer, data);
        ::shutdown(peer.get(), SHUT_WR);
        reader.join();

        EXPECT_TRUE(reader.result() == data);
      });
    }
  }
}

TEST_F(ShortRead, data_that_is_pending_at_a_reset_is_read_before_the_reset_is_told) {
  run([] {
    auto [ours, peer] = tcp_pair();
    register_with_poller(ours, peer);
    send_all(peer, "the last bytes");
    reset_by(peer);
    std::error_code ec;

    EXPECT_EQ(read_to_end(ours, ec, 100), "the last bytes");
    EXPECT_EQ(ec, std::errc::connection_reset);
  });
}

// ---- UNIX streams ----------------------------------------------------------------------------

// Sends `text` with a descriptor attached: a read stops where such a message ends.
void send_with_descriptor(const unique_fd& peer, std::string_view text) {
  const int attached = STDIN_FILENO;
  iovec part{const_cast<char*>(text.data()), text.size()};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof attached)> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof attached);
  std::memcpy(CMSG_DATA(header), &attached, sizeof attached);
  ASSERT_EQ(::sendmsg(peer.get(), &message, MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
}

TEST_F(ShortRead, at_a_message_with_descriptors_is_not_the_last_on_a_unix_stream) {
  for (const bool registered : {false, true}) {
    run([&] {
      auto [ours, peer] = unix_pair();
      if (registered) register_with_poller(ours, peer);
      send_with_descriptor(peer, "with");
      send_all(peer, "without");
      send_with_descriptor(peer, "again");

      EXPECT_EQ(read_some_text(ours, 100), "with");
      EXPECT_EQ(read_pieces(ours, 12), "withoutagain");
    });
  }
}

// The kernel gives a record at a time there.
TEST_F(ShortRead, is_not_the_last_where_the_kernel_does_tls) {
  run([] {
    auto [opened, peer] = tcp_pair();
    system_calls().upper_protocol = true;
    socket ours = socket::adopt(opened.release());
    system_calls().upper_protocol = false;
    register_with_poller(ours, peer);
    system_calls().at_most = 4;  // no more than that of what one event has told of
    send_all(peer, "one record and another");

    EXPECT_EQ(read_pieces(ours, 22), "one record and another");
    // Nor does it take a short read for the last when there is no more.
    auto reader = spawn([&] { return read_some_text(ours, 100); });
    system_calls().recv_calls = 0;
    one_turn();
    EXPECT_EQ(system_calls().recv_calls, 1u);
    send_all(peer, "end");
    reader.join();
    EXPECT_EQ(reader.result(), "end");
  });
}

TEST_F(ShortRead, at_messages_with_descriptors_that_wake_the_reader_loses_nothing) {
  run([] {
    auto [ours, peer] = unix_pair();
    register_with_poller(ours, peer);
    auto reader = spawn([&ours = ours] { return read_pieces(ours, 6); });
    one_turn();
    send_with_descriptor(peer, "ab");
    send_with_descriptor(peer, "cd");
    send_all(peer, "ef");
    reader.join();

    EXPECT_EQ(reader.result(), "abcdef");
  });
}

TEST_F(ShortRead, of_a_borrowed_buffer_loses_nothing_on_a_unix_stream) {
  run([] {
    auto [ours, peer] = unix_pair();
    register_with_poller(ours, peer);
    send_with_descriptor(peer, "ab");
    send_all(peer, "cd");
    peer.reset();
    std::string got;
    while (const auto data = ours.read_some_borrowed()) got += data.text();

    EXPECT_EQ(got, "abcd");
  });
}

// ---- datagrams -------------------------------------------------------------------------------

TEST_F(ShortRead, several_datagrams_that_are_queued_at_one_event_are_all_received) {
  run([] {
    net::datagram_socket receiver{net::endpoint::loopback_v4(0)};
    net::datagram_socket sender{net::endpoint::loopback_v4(0)};
    const auto to = receiver.local_endpoint();
    auto reader = spawn([&] {
      std::string got;
      std::array<std::byte, 100> buffer;
      for (int i = 0; i < 6; ++i) {
        got += text_of(std::span{buffer}.first(receiver.receive(buffer)));
      }
      return got;
    });
    one_turn();
    for (const char* each : {"a", "bb", "ccc", "d", "ee", "fff"})
      sender.send_to(bytes_of(each), to);
    reader.join();

    EXPECT_EQ(reader.result(), "abbcccdeefff");
  });
}

}  // namespace
}  // namespace weft::test
