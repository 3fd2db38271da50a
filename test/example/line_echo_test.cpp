// What every server that echoes lines does with them: whole lines come back, however they arrive,
// and to any number of peers.
#include <algorithm>
#include <sys/socket.h>
#include <thread>

#include "line_servers.hpp"

namespace weft::test {
namespace {

class LineEchoTest : public LineServer {
protected:
  unique_fd connect() const { return server.connect(); }

  running server = start();
};

INSTANTIATE_TEST_SUITE_P(Servers, LineEchoTest, testing::ValuesIn(echo_server_names()), test_name);

// Text of `size` bytes that has newlines only where they are put.
std::string text_without_newlines(std::size_t size) {
  std::string text = counted_text(size);
  std::replace(text.begin(), text.end(), '\n', '.');
  return text;
}

std::string arrived(const unique_fd& peer) {
  char buffer[4096];
  const ssize_t count = ::recv(peer.get(), buffer, sizeof buffer, MSG_DONTWAIT);
  return {buffer, static_cast<std::size_t>(std::max<ssize_t>(count, 0))};
}

TEST_P(LineEchoTest, sends_each_line_back) {
  const unique_fd peer = connect();

  for (int i = 0; i < 1000; ++i) {
    const std::string line = std::to_string(i) + "\n";
    send_all(peer, line);
    ASSERT_EQ(recv_all(peer, line.size()), line);
  }
}

TEST_P(LineEchoTest, keeps_half_a_line_until_its_end_has_come) {
  const unique_fd peer = connect();

  send_all(peer, "one\nhal");
  EXPECT_EQ(recv_all(peer, 4), "one\n");
  server.expect_service();
  EXPECT_EQ(arrived(peer), "");
  send_all(peer, "f\n");

  EXPECT_EQ(recv_all(peer, 5), "half\n");
}

TEST_P(LineEchoTest, sends_back_a_last_line_without_newline) {
  const unique_fd peer = connect();

  send_all(peer, "one\n\nlast");
  ::shutdown(peer.get(), SHUT_WR);

  EXPECT_EQ(recv_until_end(peer), "one\n\nlast");
}

TEST_P(LineEchoTest, sends_nothing_to_a_peer_that_sends_nothing) {
  const unique_fd peer = connect();

  ::shutdown(peer.get(), SHUT_WR);

  EXPECT_EQ(recv_until_end(peer), "");
}

TEST_P(LineEchoTest, puts_a_line_together_that_comes_byte_by_byte) {
  const unique_fd peer = connect();
  const std::string line = text_without_newlines(500) + "\n";

  for (const char byte : line) send_all(peer, std::string(1, byte));

  EXPECT_EQ(recv_all(peer, line.size()), line);
}

TEST_P(LineEchoTest, sends_back_lines_of_every_length_up_to_the_limit) {
  const unique_fd peer = connect();

  for (const std::size_t size : {1U, 8191U, 8192U, 8193U, 16384U, 16385U, 65535U, 65536U, 2U}) {
    const std::string line = text_without_newlines(size - 1) + "\n";
    send_all(peer, line);
    ASSERT_EQ(recv_all(peer, size), line) << size;
  }
}

TEST_P(LineEchoTest, sends_back_many_lines_that_come_at_once) {
  const unique_fd peer = connect();
  std::string lines;
  for (int i = 0; i < 200'000; ++i) lines += std::to_string(i) + "\n";

  std::thread sender{[&] {
    send_all(peer, lines);
    ::shutdown(peer.get(), SHUT_WR);
  }};
  const std::string back = recv_until_end(peer);
  sender.join();

  EXPECT_TRUE(back == lines) << back.size() << " of " << lines.size() << " bytes";
}

// As many bytes of `text` as the peer takes.
void send_as_far_as_possible(const unique_fd& peer, const std::string& text) {
  try {
    send_all(peer, text);
  } catch (const std::system_error& gone) {
    EXPECT_TRUE(gone.code() == std::errc::broken_pipe || gone.code() == std::errc::connection_reset)
        << gone.what();
  }
}

void expect_the_end(const unique_fd& peer) {
  try {
    EXPECT_EQ(recv_until_end(peer), "");
  } catch (const std::system_error& gone) {
    EXPECT_EQ(gone.code(), std::errc::connection_reset);
  }
}

TEST_P(LineEchoTest, ends_a_connection_whose_line_is_over_the_limit_and_says_so) {
  const unique_fd other = connect();
  const unique_fd peer = connect();
  const std::string name = server.name_of(peer);
  send_all(peer, "short\n");
  EXPECT_EQ(recv_all(peer, 6), "short\n");

  send_as_far_as_possible(peer, text_without_newlines(65536) + "\n");

  EXPECT_EQ(server.program.wait_for_line("65536", stream::err),
            GetParam() + ": the connection from " + name +
                " is closed: a line of more than 65536 bytes");
  expect_the_end(peer);
  server.program.wait_for_line("Connection closed");
  send_all(other, "still there?\n");
  EXPECT_EQ(recv_all(other, 13), "still there?\n");
  server.expect_service();
}

TEST_P(LineEchoTest, does_not_wait_for_the_end_of_a_line_over_the_limit) {
  const unique_fd peer = connect();

  send_as_far_as_possible(peer, text_without_newlines(200'000));

  server.program.wait_for_line("a line of more than 65536 bytes", stream::err);
  expect_the_end(peer);
}

TEST_P(LineEchoTest, serves_200_connections_at_once) {
  std::vector<unique_fd> peers;
  for (int i = 0; i < 200; ++i) peers.push_back(connect());

  for (std::size_t i = 0; i < peers.size(); ++i) send_all(peers[i], std::to_string(1000 + i));
  for (const unique_fd& peer : peers) send_all(peer, "\n");

  for (std::size_t i = peers.size(); i-- > 0;) {
    EXPECT_EQ(recv_all(peers[i], 5), std::to_string(1000 + i) + "\n");
  }
}

TEST_P(LineEchoTest, prints_who_comes_and_that_it_has_gone) {
  unique_fd peer = connect();

  EXPECT_EQ(server.program.wait_for_line("Connection from"),
            "Connection from: " + server.name_of(peer));
  peer.reset();
  EXPECT_EQ(server.program.wait_for_line("Connection"), "Connection closed");
}

TEST_P(LineEchoTest, survives_peers_that_vanish_with_lines_on_their_way_back) {
  std::vector<unique_fd> peers;
  for (int i = 0; i < 50; ++i) {
    peers.push_back(connect());
    send_all(peers.back(), counted_text(20'000));
  }

  for (unique_fd& peer : peers) reset(peer);

  for (int i = 0; i < 50; ++i) server.program.wait_for_line("Connection closed");
  server.expect_service();
  EXPECT_EQ(server.program.output(stream::err), "");
}

TEST_P(LineEchoTest, keeps_the_lines_in_order_for_a_peer_that_reads_late_and_serves_others) {
  const unique_fd peer = connect();
  const std::string text = counted_text(8 << 20);  // more than the kernel keeps for both ends
  std::thread sender{[&] {
    send_all(peer, text);
    ::shutdown(peer.get(), SHUT_WR);
  }};

  server.expect_service();
  const std::string back = recv_until_end(peer);
  sender.join();

  EXPECT_TRUE(back == text) << back.size() << " of " << text.size() << " bytes";
}

}  // namespace
}  // namespace weft::test
