// The echo servers under weft-load, with as many connections as the machine allows.
#include <algorithm>
#include <fstream>
#include <sys/resource.h>

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

}  // namespace
}  // namespace weft::test
