// How an echo server starts and ends: its arguments, its address, the signals that stop it.
#include <csignal>

#include "echo_servers.hpp"
#include "server_lifetime.hpp"

namespace weft::test {
namespace {

using EchoArgumentsTest = EchoServer;
INSTANTIATE_TEST_SUITE_P(Servers, EchoArgumentsTest, testing::ValuesIn(echo_server_names()),
                         test_name);

TEST_P(EchoArgumentsTest, prints_its_options_on_request) {
  const process_result result = process::run(command({"--help"}));

  EXPECT_EQ(result.exit_code, 0);
  for (const char* option : {"--host", "--port", "--workers", "--quiet"}) {
    EXPECT_NE(result.out.find(option), std::string::npos) << result.out;
  }
}

TEST_P(EchoArgumentsTest, refuses_a_port_that_is_none) {
  for (const char* port : {"65536", "-1", "http", ""}) {
    expect_refused(process::run(command({"--port", port})), {"--port", "65535"});
  }
}

// As C reads them, these would be 8, 80 and 80.
TEST_P(EchoArgumentsTest, refuses_numbers_that_are_not_plain_decimal) {
  for (const char* number : {"010", "0x50", "+80", " 80", "8e1"}) {
    expect_refused(process::run(command({"--port", number})), {"--port", number, "65535"});
    expect_refused(process::run(command({"--workers", number})), {"--workers", number, "1024"});
  }
}

TEST_P(EchoArgumentsTest, refuses_an_address_that_is_none) {
  for (const char* host : {"256.0.0.1", "nowhere", "::g"}) {
    expect_refused(process::run(command({"--host", host})), {"--host", host, "IPv4"});
  }
}

TEST_P(EchoArgumentsTest, refuses_no_workers_at_all) {
  expect_refused(process::run(command({"--workers", "0"})), {"--workers", "0"});
}

TEST_P(EchoArgumentsTest, refuses_a_flag_it_does_not_know) {
  expect_refused(process::run(command({"--colour"})), {"--colour", "--help"});
}

TEST_P(EchoArgumentsTest, prints_no_line_per_connection_when_quiet) {
  process server{command({"--port", "0", "--quiet"})};
  unique_fd peer = connect_tcp(server.wait_for_port());
  ASSERT_NO_FATAL_FAILURE(exchange(peer, "x\n"));
  peer.reset();

  server.signal(SIGTERM);

  EXPECT_EQ(server.wait(), 0);
  EXPECT_EQ(server.output(stream::out).find("Connection"), std::string::npos);
}

TEST_P(EchoArgumentsTest, serves_with_several_workers) {
  process server{command({"--port", "0", "--workers", "3"})};
  const std::uint16_t port = server.wait_for_port();

  expect_thirty_served(server, [&] { return connect_tcp(port); });
}

using EchoLifetimeTest = RunningEchoServer;
INSTANTIATE_TEST_SUITE_P(Servers, EchoLifetimeTest, testing::ValuesIn(echo_server_names()),
                         test_name);

TEST_P(EchoLifetimeTest, names_the_port_that_is_in_use) {
  const std::string taken = std::to_string(port);

  const process_result result = process::run(command({"--port", taken}));

  expect_refused(result, {taken, "in use"}, 1);
}

TEST_P(EchoLifetimeTest, refuses_the_port_in_use_to_several_workers_too) {
  const process_result result =
      process::run(command({"--port", std::to_string(port), "--workers", "2"}));

  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.err.find("in use"), std::string::npos) << result.err;
}

TEST_P(EchoLifetimeTest, ends_with_0_on_each_of_both_signals) {
  process other{command({"--port", "0"})};
  other.wait_for_port();

  server.signal(SIGTERM);
  other.signal(SIGINT);

  EXPECT_EQ(server.wait(), 0);
  EXPECT_EQ(other.wait(), 0);
}

TEST_P(EchoLifetimeTest, finishes_a_connection_in_flight_but_accepts_no_other) {
  unique_fd peer = connect();
  ASSERT_NO_FATAL_FAILURE(exchange(peer, "x\n"));

  server.signal(SIGTERM);
  ASSERT_TRUE(wait_until_refused([&] { connect(); }));
  send_all(peer, "late\n");
  EXPECT_EQ(recv_all(peer, 5), "late\n");
  peer.reset();

  EXPECT_EQ(server.wait(), 0);
}

// All workers stop to accept at once; none waits for the connections of another.
TEST_P(EchoLifetimeTest, finishes_the_connections_in_flight_of_all_workers_together) {
  process several{command({"--port", "0", "--workers", "3"})};
  const std::uint16_t shared = several.wait_for_port();
  std::vector<unique_fd> peers;
  for (int i = 0; i < 30; ++i) {
    peers.push_back(connect_tcp(shared));
    ASSERT_NO_FATAL_FAILURE(exchange(peers.back(), "x\n"));
  }

  several.signal(SIGTERM);
  ASSERT_TRUE(wait_until_refused([&] { connect_tcp(shared); }));
  for (const unique_fd& peer : peers) send_all(peer, "late\n");
  for (const unique_fd& peer : peers) EXPECT_EQ(recv_all(peer, 5), "late\n");
  peers.clear();

  EXPECT_EQ(several.wait(), 0);
}

TEST_P(EchoLifetimeTest, ends_even_if_a_connection_stays_open) {
  const unique_fd peer = connect();
  server.wait_for_line("Connection from");

  server.signal(SIGTERM);

  EXPECT_EQ(server.wait(), 0);
}

// As a shell has it for what it starts in the background.
TEST_P(EchoArgumentsTest, leaves_a_signal_ignored_that_was_so) {
  process server{{"/bin/sh", "-c", "trap '' INT; exec \"$0\" --port 0", program_path(GetParam())}};
  const std::uint16_t port = server.wait_for_port();

  server.signal(SIGINT);
  unique_fd peer = connect_tcp(port);
  exchange(peer, "still there?\n");
  server.signal(SIGTERM);
  ASSERT_TRUE(wait_until_refused([&] { connect_tcp(port); }));
  server.signal(SIGINT);  // nor does it end what is left to do
  exchange(peer, "and now?\n");
  peer.reset();

  EXPECT_EQ(server.wait(), 0);
}

TEST_P(EchoLifetimeTest, ends_at_once_on_the_second_signal) {
  const unique_fd peer = connect();
  server.wait_for_line("Connection from");

  server.signal(SIGINT);
  ASSERT_TRUE(wait_until_refused([&] { connect(); }));
  server.signal(SIGTERM);

  EXPECT_EQ(server.wait(), 128 + SIGTERM);
}

}  // namespace
}  // namespace weft::test
