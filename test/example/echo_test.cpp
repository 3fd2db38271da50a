// What every echo server does on a good day: all bytes come back, to any number of peers.
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>

#include "echo_servers.hpp"

namespace weft::test {
namespace {

using EchoTest = RunningEchoServer;
INSTANTIATE_TEST_SUITE_P(Servers, EchoTest, testing::ValuesIn(echo_server_names()), test_name);

TEST_P(EchoTest, sends_back_what_it_gets) {
  const unique_fd peer = connect();

  send_all(peer, "hello");

  EXPECT_EQ(recv_all(peer, 5), "hello");
}

TEST_P(EchoTest, answers_on_the_same_connection_again_and_again) {
  const unique_fd peer = connect();

  for (int i = 0; i < 1000; ++i) {
    const std::string message = std::to_string(i);
    send_all(peer, message);
    ASSERT_EQ(recv_all(peer, message.size()), message);
  }
}

TEST_P(EchoTest, serves_200_connections_at_once) {
  std::vector<unique_fd> peers;
  for (int i = 0; i < 200; ++i) peers.push_back(connect());

  for (std::size_t i = 0; i < peers.size(); ++i) send_all(peers[i], std::to_string(1000 + i));

  for (std::size_t i = peers.size(); i-- > 0;) {
    EXPECT_EQ(recv_all(peers[i], 4), std::to_string(1000 + i));
  }
}

TEST_P(EchoTest, puts_together_what_comes_byte_by_byte) {
  const unique_fd peer = connect();
  const std::string text = counted_text(500);

  for (const char byte : text) send_all(peer, std::string(1, byte));

  EXPECT_EQ(recv_all(peer, text.size()), text);
}

TEST_P(EchoTest, sends_back_messages_around_the_size_of_its_buffer) {
  const unique_fd peer = connect();

  for (const std::size_t size : {8191U, 8192U, 8193U, 16384U, 16385U, 100'000U}) {
    const std::string text = counted_text(size);
    send_all(peer, text);
    ASSERT_EQ(recv_all(peer, size), text) << size;
  }
}

TEST_P(EchoTest, sends_all_that_is_pending_to_a_peer_that_has_half_closed) {
  const unique_fd peer = connect();
  const std::string text = counted_text(100'000);

  send_all(peer, text);
  ::shutdown(peer.get(), SHUT_WR);

  EXPECT_EQ(recv_until_end(peer), text);
}

TEST_P(EchoTest, prints_a_line_when_a_peer_comes_and_when_it_has_gone) {
  unique_fd peer = connect();

  server.wait_for_line("Connection from: 127.0.0.1:" + std::to_string(local_port(peer)));
  peer.reset();

  EXPECT_EQ(server.wait_for_line("Connection closed"), "Connection closed");
}

// Sends all it can to a peer that reads nothing, until nobody on the way takes any more. Returns
// how many bytes went out.
std::size_t send_until_stuck(const unique_fd& peer, const std::string& text) {
  std::size_t sent = 0;
  pollfd writable{peer.get(), POLLOUT, 0};
  while (sent < text.size() && ::poll(&writable, 1, 300) > 0) {
    const ssize_t n =
        ::send(peer.get(), text.data() + sent, text.size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) {
      ADD_FAILURE() << "send: " << std::strerror(errno);
      break;
    }
    if (n > 0) sent += static_cast<std::size_t>(n);
  }
  return sent;
}

TEST_P(EchoTest, keeps_the_bytes_in_order_for_a_peer_that_reads_late) {
  const unique_fd peer = connect();
  const std::string text = counted_text(32 << 20);  // more than the kernel keeps for both ends

  const std::size_t sent = send_until_stuck(peer, text);
  ASSERT_GT(sent, 0u);
  ::shutdown(peer.get(), SHUT_WR);

  EXPECT_TRUE(recv_until_end(peer) == text.substr(0, sent)) << sent << " bytes were sent";
}

TEST_P(EchoTest, serves_others_while_one_peer_does_not_read) {
  const unique_fd stuck = connect();
  send_until_stuck(stuck, counted_text(32 << 20));

  expect_service();
}

TEST_P(EchoTest, serves_others_while_one_peer_is_silent) {
  const unique_fd silent = connect();

  expect_service();
}

}  // namespace
}  // namespace weft::test
