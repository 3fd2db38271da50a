// The echo servers with peers that others wrote, and with peers that are killed.
#include <array>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <iterator>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "echo_servers.hpp"

namespace weft::test {
namespace {

using EchoPeersTest = RunningEchoServer;
INSTANTIATE_TEST_SUITE_P(Servers, EchoPeersTest, testing::ValuesIn(echo_server_names()), test_name);

std::string output_of(const std::string& script) {
  const process_result result = process::run({"/bin/sh", "-c", script});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  return result.out;
}

bool has_socat() { return process::run({"/bin/sh", "-c", "command -v socat"}).exit_code == 0; }

TEST_P(EchoPeersTest, sends_back_to_socat_what_that_reads_to_its_end) {
  if (!has_socat()) GTEST_SKIP() << "socat is not installed";
  // -t: how long socat waits, at most, for the server to end its side.
  const std::string peer = " | socat -t 50 - TCP4:127.0.0.1:" + std::to_string(port);

  EXPECT_EQ(output_of("echo hello" + peer), "hello\n");
  EXPECT_TRUE(output_of("seq 300000" + peer) == output_of("seq 300000"));
  EXPECT_EQ(output_of("printf 'no line end'" + peer), "no line end");
  EXPECT_EQ(output_of("printf ''" + peer), "");
}

TEST_P(EchoPeersTest, prints_the_address_of_a_peer_that_connects_and_resets_at_once) {
  server.signal(SIGSTOP);
  unique_fd peer = connect();
  const std::string from = "127.0.0.1:" + std::to_string(local_port(peer));
  reset(peer);
  server.signal(SIGCONT);

  EXPECT_EQ(server.wait_for_line("Connection from"), "Connection from: " + from);
  EXPECT_EQ(server.wait_for_line("Connection"), "Connection closed");
}

std::size_t descriptors_of(pid_t pid) {
  const std::filesystem::directory_iterator open{"/proc/" + std::to_string(pid) + "/fd"};
  return static_cast<std::size_t>(std::distance(begin(open), end(open)));
}

// Returns once the process `pid` has `count` descriptors. Throws when that does not happen.
void wait_for_descriptors(pid_t pid, std::size_t count) {
  const auto deadline = std::chrono::steady_clock::now() + process::watchdog;
  for (std::size_t now = 0; (now = descriptors_of(pid)) != count;) {
    if (std::chrono::steady_clock::now() > deadline) {
      throw std::runtime_error(std::to_string(now) + " descriptors are open, not " +
                               std::to_string(count));
    }
    std::this_thread::yield();
  }
}

// A process with many connections, to be killed.
class crowd {
public:
  crowd(std::uint16_t port, std::size_t connections) : pid_(::fork()) {
    if (pid_ == 0) hold(port, connections);
    if (pid_ < 0) throw std::runtime_error("fork");
  }

  crowd(const crowd&) = delete;
  crowd& operator=(const crowd&) = delete;

  ~crowd() { kill(); }

  void kill() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

private:
  [[noreturn]] static void hold(std::uint16_t port, std::size_t connections) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    try {
      for (std::size_t i = 0; i < connections; ++i) {
        unique_fd peer = connect_tcp(port);
        send_all(peer, "half a mess");
        peer.release();
      }
    } catch (const std::exception&) {
      ::_exit(1);  // the test then waits in vain for the connections
    }
    for (;;) ::pause();
  }

  pid_t pid_;
};

TEST_P(EchoPeersTest, gives_back_every_descriptor_when_a_peer_with_500_connections_is_killed) {
  const unique_fd steady = connect();
  send_all(steady, "x\n");
  ASSERT_EQ(recv_all(steady, 2), "x\n");  // from here on the server has all that it needs itself
  const std::size_t before = descriptors_of(server.pid());

  crowd peers{port, 500};
  wait_for_descriptors(server.pid(), before + 500);
  peers.kill();
  wait_for_descriptors(server.pid(), before);

  send_all(steady, "still there?\n");
  EXPECT_EQ(recv_all(steady, 13), "still there?\n");
  expect_service();
}

}  // namespace
}  // namespace weft::test
