// The servers of the comparison, as far as they are installed: each serves, verifiably, what the
// comparison puts it through, and starts and ends as the comparison expects.
#include <csignal>
#include <filesystem>
#include <string>
#include <sys/socket.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "support/process.hpp"
#include "support/tcp.hpp"

namespace weft::test {
namespace {

namespace fs = std::filesystem;

// Those that were built, and of the scripts those whose library is installed.
std::vector<std::string> installed_servers() {
  std::vector<std::string> names;
  for (const char* name :
       {"compare-threads", "compare-callbacks", "compare-fibers", "compare-coroutines",
        "echo-thread-pool", "echo-asio", "echo-boost-fiber", "echo-state-threads", "echo-go",
        "echo-gevent", "echo-uvloop"}) {
    const std::string program = WEFT_BIN_DIR "/" + std::string{name};
    if (fs::exists(program) && process::run({program, "--help"}).exit_code == 0) {
      names.emplace_back(name);
    }
  }
  return names;
}

std::string test_name(const testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  for (char& each : name) each = each == '-' ? '_' : each;
  return name;
}

class CompareServer : public testing::TestWithParam<std::string> {
protected:
  static std::string program() { return WEFT_BIN_DIR "/" + GetParam(); }

  std::uint16_t start() {
    const std::string address = server_.wait_for_line("listening on ");
    return static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
  }

  process server_{{program(), "--quiet", "--port", "0"}};
};

INSTANTIATE_TEST_SUITE_P(Servers, CompareServer, testing::ValuesIn(installed_servers()), test_name);

TEST_P(CompareServer, sends_back_what_many_peers_send_at_once) {
  const std::uint16_t port = start();
  std::vector<unique_fd> peers;
  for (int i = 0; i < 50; ++i) peers.push_back(connect_tcp(port));

  for (int round = 0; round < 3; ++round) {
    for (const unique_fd& peer : peers) send_all(peer, "hello");
    for (const unique_fd& peer : peers) EXPECT_EQ(recv_all(peer, 5), "hello");
  }
}

TEST_P(CompareServer, loses_nothing_of_messages_larger_than_its_buffer) {
  const unique_fd peer = connect_tcp(start());
  std::string message(100'000, '\0');
  for (std::size_t i = 0; i < message.size(); ++i) message[i] = static_cast<char>('a' + i * 7 % 26);

  for (int round = 0; round < 5; ++round) {
    send_all(peer, message);
    EXPECT_EQ(recv_all(peer, message.size()), message);
  }
}

TEST_P(CompareServer, sends_back_what_came_before_the_end_of_the_stream) {
  const unique_fd peer = connect_tcp(start());
  send_all(peer, "the last words");

  ::shutdown(peer.get(), SHUT_WR);

  EXPECT_EQ(recv_until_end(peer), "the last words");
}

TEST_P(CompareServer, survives_a_peer_that_vanishes) {
  const std::uint16_t port = start();
  for (int i = 0; i < 20; ++i) {
    const unique_fd gone = connect_tcp(port);
    send_all(gone, "half");
    const linger at_once{1, 0};  // a reset
    ::setsockopt(gone.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }

  const unique_fd peer = connect_tcp(port);
  send_all(peer, "still there");

  EXPECT_EQ(recv_all(peer, 11), "still there");
}

// Our own: what the others do then is their affair.
TEST_P(CompareServer, serves_those_it_has_when_it_has_run_out_of_descriptors) {
  if (GetParam().rfind("compare-", 0) != 0) GTEST_SKIP() << "not our own";
  process limited{{"/bin/sh", "-c", "ulimit -n 24 && exec \"$0\" --quiet --port 0", program()}};
  const std::string address = limited.wait_for_line("listening on ");
  const auto port = static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
  std::vector<unique_fd> peers;
  for (int i = 0; i < 40; ++i) peers.push_back(connect_tcp(port));

  for (int round = 0; round < 50; ++round) {
    send_all(peers.front(), "still served");
    ASSERT_EQ(recv_all(peers.front(), 12), "still served");
  }
  // Those that wait in the queue of the listener have their turn once others have gone.
  const unique_fd last = std::move(peers.back());
  peers.clear();
  send_all(last, "at last");
  EXPECT_EQ(recv_all(last, 7), "at last");
}

TEST_P(CompareServer, ends_with_0_on_a_signal_with_a_connection_open) {
  const unique_fd peer = connect_tcp(start());
  send_all(peer, "x");
  recv_all(peer, 1);

  server_.signal(SIGTERM);

  EXPECT_EQ(server_.wait(), 0);
}

TEST_P(CompareServer, refuses_what_it_does_not_know) {
  const process_result run = process::run({program(), "--colour"});

  EXPECT_EQ(run.exit_code, 2);
  EXPECT_NE(run.err, "");
}

TEST_P(CompareServer, tells_that_the_port_is_in_use) {
  const std::string port = std::to_string(start());

  const process_result run = process::run({program(), "--port", port});

  EXPECT_EQ(run.exit_code, 1);
  EXPECT_NE(run.err.find("listen"), std::string::npos) << run.err;
}

}  // namespace
}  // namespace weft::test
