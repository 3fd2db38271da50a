// How a server that echoes lines starts and ends, on TCP and on a UNIX socket alike.
#include <csignal>
#include <filesystem>

#include "line_servers.hpp"
#include "server_lifetime.hpp"

namespace weft::test {
namespace {

using LineLifetimeTest = LineServer;
INSTANTIATE_TEST_SUITE_P(Servers, LineLifetimeTest, testing::ValuesIn(echo_server_names()),
                         test_name);

TEST_P(LineLifetimeTest, prints_its_options_on_request) {
  const process_result result = process::run(command({"--help"}));

  EXPECT_EQ(result.exit_code, 0);
  std::vector<std::string> options{"--workers", "--quiet"};
  if (on_unix_socket()) {
    options.insert(options.end(), {"--path"});
  } else {
    options.insert(options.end(), {"--host", "--port"});
  }
  for (const std::string& option : options) {
    EXPECT_NE(result.out.find(option), std::string::npos) << result.out;
  }
}

TEST_P(LineLifetimeTest, refuses_arguments_that_are_none) {
  expect_refused(process::run(command({"--workers", "0"})), {"--workers", "0", "1024"});
  expect_refused(process::run(command({"--colour"})), {"--colour", "--help"});
  expect_refused(process::run(command({"stray"})), {"stray", "--help"});
}

TEST_P(LineLifetimeTest, prints_no_line_per_connection_when_quiet) {
  running server = start({"--quiet"});
  unique_fd peer = server.connect();
  exchange(peer, "x\n");
  peer.reset();

  server.program.signal(SIGTERM);

  EXPECT_EQ(server.program.wait(), 0);
  EXPECT_EQ(server.program.output(stream::out).find("Connection"), std::string::npos);
}

TEST_P(LineLifetimeTest, serves_with_several_workers) {
  running server = start({"--workers", "3"});

  expect_thirty_served(server.program, [&] { return server.connect(); });
}

TEST_P(LineLifetimeTest, ends_with_0_on_each_of_both_signals_and_leaves_no_file) {
  for (const int signal : {SIGINT, SIGTERM}) {
    running server = start();

    server.program.signal(signal);

    EXPECT_EQ(server.program.wait(), 0);
    EXPECT_EQ(server.program.output(stream::err), "");
    EXPECT_FALSE(std::filesystem::exists(server.path));
  }
}

TEST_P(LineLifetimeTest, finishes_the_line_in_flight_but_accepts_no_other_peer) {
  for (const char* workers : {"1", "3"}) {
    running server = start({"--workers", workers});
    std::vector<unique_fd> peers;
    for (int i = 0; i < 10; ++i) {
      peers.push_back(server.connect());
      exchange(peers.back(), "x\n");
      send_all(peers.back(), "half a ");
    }

    server.program.signal(SIGINT);
    ASSERT_TRUE(wait_until_refused([&] { server.connect(); }));
    for (const unique_fd& peer : peers) send_all(peer, "line\n");
    for (const unique_fd& peer : peers) EXPECT_EQ(recv_all(peer, 12), "half a line\n");
    peers.clear();

    EXPECT_EQ(server.program.wait(), 0);
  }
}

TEST_P(LineLifetimeTest, ends_even_if_a_connection_stays_open) {
  running server = start();
  const unique_fd peer = server.connect();
  exchange(peer, "x\n");

  server.program.signal(SIGTERM);

  EXPECT_EQ(server.program.wait(), 0);
  EXPECT_EQ(server.program.output(stream::err), "");
}

}  // namespace
}  // namespace weft::test
