// The echo servers under weft-load, with as many connections as the machine allows.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <sys/resource.h>
#include <thread>

#include <nlohmann/json.hpp>

#include "echo_servers.hpp"

namespace weft::test {
namespace {

// A run with thousands of threads on a loaded machine.
constexpr std::chrono::seconds patience{200};

// How many connections the server and its peer can have, at most 10,000.
std::size_t many_connections(const std::string& server) {
  constexpr std::size_t beside_connections = 100;
  std::size_t most = 10'000;
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  most = std::min<std::size_t>(most, files.rlim_max - beside_connections);
  if (server == "echo-threads") {
    std::size_t threads = 0;
    std::ifstream{"/proc/sys/kernel/threads-max"} >> threads;
    most = std::min(most, threads / 4);  // others have threads too
  }
  return most;
}

using EchoLoadTest = EchoServer;
INSTANTIATE_TEST_SUITE_P(Servers, EchoLoadTest, testing::ValuesIn(echo_server_names()), test_name);

TEST_P(EchoLoadTest, sends_every_byte_back_to_thousands_of_connections_at_once) {
  process server{command({"--port", "0", "--quiet"})};
  const std::string address = "127.0.0.1:" + std::to_string(server.wait_for_port());
  const std::size_t connections = many_connections(GetParam());

  const process_result run =
      process::run({program_path("weft-load"), address, "--connections",
                    std::to_string(connections), "--seconds", "1", "--warm-up", "0", "--json"},
                   patience);

  ASSERT_EQ(run.exit_code, 0) << run.out << run.err;
  const auto report = nlohmann::json::parse(run.out);
  const std::uint64_t total = report["messages_total"];
  EXPECT_GE(total, connections);
  EXPECT_EQ(report["connections"], connections);
  EXPECT_EQ(report["bytes_sent"], total * report["message_bytes"].get<std::uint64_t>());
  EXPECT_EQ(report["bytes_received"], report["bytes_sent"]);
  EXPECT_EQ(report["corrupt_bytes"], 0u);
  EXPECT_EQ(report["lost"], 0u);
  EXPECT_TRUE(report["errors"].empty()) << report["errors"];
}

// What a process holds: open descriptors, and memory in kB.
struct held {
  std::size_t descriptors = 0;
  std::size_t memory = 0;
};

held held_by(pid_t pid) {
  const std::string folder = "/proc/" + std::to_string(pid);
  const std::filesystem::directory_iterator open{folder + "/fd"};
  held result{.descriptors = static_cast<std::size_t>(std::distance(begin(open), end(open)))};
  std::ifstream status{folder + "/status"};
  for (std::string word; status >> word;) {
    if (word == "VmRSS:") status >> result.memory;
  }
  return result;
}

// Returns what the process holds once `condition(held)` is true. Throws when it never is.
template <class Condition>
held wait_until(pid_t pid, Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (;;) {
    const held now = held_by(pid);
    if (condition(now)) return now;
    if (std::chrono::steady_clock::now() > deadline) {
      throw std::runtime_error(std::to_string(now.descriptors) + " descriptors, " +
                               std::to_string(now.memory) + " kB");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  }
}

// What is left is what is used again: the table of descriptors, and some of the slabs.
TEST(EchoFibersLoad, gives_back_what_5000_connections_took_when_their_process_is_killed) {
  const std::size_t connections = std::min<std::size_t>(5'000, many_connections("echo-fibers"));
  constexpr std::size_t table_kb = 1'024;
  process server{{program_path("echo-fibers"), "--port", "0", "--quiet"}};
  const std::string address = "127.0.0.1:" + std::to_string(server.wait_for_port());
  process::run({program_path("weft-load"), address, "--connections", "1", "--seconds", "0.1"});
  const held before = wait_until(server.pid(), [](const held& now) { return now.memory != 0; });

  process peers{{program_path("weft-load"), address, "--connections", std::to_string(connections),
                 "--idle", "--seconds", "600"}};
  const held during = wait_until(server.pid(), [&](const held& now) {
    return now.descriptors == before.descriptors + connections;
  });
  EXPECT_GT(during.memory, before.memory + 4 * connections);  // a page for each, of its stack
  peers.signal(SIGKILL);
  peers.wait();

  wait_until(server.pid(), [&](const held& now) {
    return now.descriptors == before.descriptors && now.memory < before.memory + table_kb;
  });
}

}  // namespace
}  // namespace weft::test
