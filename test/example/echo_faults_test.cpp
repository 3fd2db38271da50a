// What bad peers and exhausted limits do to an echo server: nothing that another peer would notice.
#include <csignal>
#include <sys/socket.h>

#include "echo_servers.hpp"

namespace weft::test {
namespace {

using EchoFaultsTest = RunningEchoServer;
INSTANTIATE_TEST_SUITE_P(Servers, EchoFaultsTest, testing::ValuesIn(echo_server_names()),
                         test_name);

void send_out_of_band(const unique_fd& peer, char byte) {
  ASSERT_EQ(::send(peer.get(), &byte, 1, MSG_OOB | MSG_NOSIGNAL), 1);
}

TEST_P(EchoFaultsTest, survives_peers_that_reset) {
  std::vector<unique_fd> peers;
  for (int i = 0; i < 50; ++i) {
    peers.push_back(connect());
    send_all(peers.back(), counted_text(20'000));  // some of it is on its way back at the reset
  }

  for (unique_fd& peer : peers) reset(peer);

  for (int i = 0; i < 50; ++i) server.wait_for_line("Connection closed");
  expect_service();
}

TEST_P(EchoFaultsTest, survives_peers_that_vanish_within_a_message) {
  for (int i = 0; i < 50; ++i) {
    unique_fd peer = connect();
    send_all(peer, "the first half of a mess");
  }

  for (int i = 0; i < 50; ++i) server.wait_for_line("Connection closed");
  expect_service();
}

TEST_P(EchoFaultsTest, survives_peers_that_say_nothing_at_all) {
  for (int i = 0; i < 50; ++i) connect();

  for (int i = 0; i < 50; ++i) server.wait_for_line("Connection closed");
  expect_service();
}

TEST_P(EchoFaultsTest, sends_back_the_bytes_around_an_out_of_band_byte) {
  const unique_fd peer = connect();

  send_all(peer, "before\n");
  send_out_of_band(peer, '!');
  send_all(peer, "after\n");

  EXPECT_EQ(recv_all(peer, 13), "before\nafter\n");
}

// All is queued when the server reads: its first recv ends at the mark, short, with more behind it.
TEST_P(EchoFaultsTest, reads_on_behind_an_out_of_band_byte_that_was_already_queued) {
  const unique_fd peer = connect();
  send_all(peer, "x\n");
  ASSERT_EQ(recv_all(peer, 2), "x\n");

  server.signal(SIGSTOP);
  send_all(peer, "before\n");
  send_out_of_band(peer, '!');
  send_all(peer, "after\n");
  server.signal(SIGCONT);

  EXPECT_EQ(recv_all(peer, 13), "before\nafter\n");
}

TEST_P(EchoFaultsTest, goes_on_as_ever_after_out_of_band_data) {
  const unique_fd peer = connect();

  for (int i = 0; i < 20; ++i) {
    send_out_of_band(peer, '!');
    send_all(peer, "again\n");
    ASSERT_EQ(recv_all(peer, 6), "again\n");
  }

  send_out_of_band(peer, '!');
  ::shutdown(peer.get(), SHUT_WR);
  EXPECT_EQ(recv_until_end(peer), "");
}

TEST_P(EchoFaultsTest, sees_the_end_of_file_that_was_queued_behind_the_last_bytes) {
  const unique_fd peer = connect();
  send_all(peer, "x\n");
  ASSERT_EQ(recv_all(peer, 2), "x\n");

  server.signal(SIGSTOP);
  send_all(peer, "last words");
  ::shutdown(peer.get(), SHUT_WR);
  server.signal(SIGCONT);

  EXPECT_EQ(recv_until_end(peer), "last words");
}

using EchoLimitTest = EchoServer;
INSTANTIATE_TEST_SUITE_P(Servers, EchoLimitTest, testing::ValuesIn(echo_server_names()), test_name);

TEST_P(EchoLimitTest, names_the_limit_of_open_files_and_serves_the_rest_later) {
  process server{
      {"/bin/sh", "-c", "ulimit -n 64 && exec " + program_path(GetParam()) + " --port 0"}};
  const std::uint16_t port = server.wait_for_port();
  std::vector<unique_fd> peers;

  for (int i = 0; i < 200; ++i) {
    peers.push_back(connect_tcp(port));
    send_all(peers.back(), "hello\n");
  }

  const std::string line = server.wait_for_line("ulimit -n", stream::err);
  EXPECT_NE(line.find("64"), std::string::npos) << line;
  for (unique_fd& peer : peers) {
    ASSERT_EQ(recv_all(peer, 6), "hello\n");
    peer.reset();
  }
}

}  // namespace
}  // namespace weft::test
