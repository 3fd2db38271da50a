// weft-load as a process where something is wrong: the server, the address, the arguments, the
// system's limits. It says what, on one line where it could not run, and its exit code tells.
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "load_server.hpp"
#include "support/process.hpp"
#include "support/tcp.hpp"

namespace {

using nlohmann::json;
using weft::test::load_faults;
using weft::test::load_server;
using weft::test::process;
using weft::test::process_result;
using weft::test::stream;

const std::string program = WEFT_BIN_DIR "/weft-load";

// Behind the first message, which every connection exchanges before the load begins.
constexpr std::uint64_t in_the_load = 64 * 3 + 7;

json bad_run(const load_server& server, std::vector<std::string> more = {}) {
  std::vector<std::string> argv{program, server.address(), "--json", "--seconds",
                                "0.3",   "--warm-up",      "0.1",    "--connections",
                                "2"};
  argv.insert(argv.end(), more.begin(), more.end());
  const process_result run = process::run(argv);
  EXPECT_EQ(run.exit_code, 3) << run.out << run.err;
  return json::parse(run.out);
}

void expect_one_line(const process_result& run, const std::string& part) {
  EXPECT_EQ(run.out, "");
  EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
  EXPECT_NE(run.err.find(part), std::string::npos) << run.err << "lacks: " << part;
}

TEST(LoadFaults, one_wrong_byte_is_counted) {
  load_faults faults;
  faults.flip_at = in_the_load;
  load_server server(faults);

  const json report = bad_run(server);

  EXPECT_EQ(report["corrupt_bytes"], 1u);
  EXPECT_TRUE(report["errors"].empty());
  EXPECT_EQ(report["bytes_received"], report["bytes_sent"]);
}

TEST(LoadFaults, a_lost_byte_is_seen_as_wrong_bytes_and_an_unanswered_message) {
  load_faults faults;
  faults.swallow_at = in_the_load;
  load_server server(faults);

  const json report = bad_run(server);

  EXPECT_GT(report["corrupt_bytes"], 0u);
  EXPECT_EQ(report["errors"]["unanswered"], 1u);
}

// The first message never comes back, so no other one is ever sent: none may be missing in the
// percentiles, and each has waited for at least as long as the run went on.
TEST(LoadFaults, an_open_loop_counts_what_a_silent_server_left_waiting) {
  load_faults faults;
  faults.swallow_at = 64;  // the first byte behind the message of the connect phase
  load_server server(faults);

  const process_result run =
      process::run({program, server.address(), "--json", "--rate", "1000", "--connections", "1",
                    "--warm-up", "0", "--seconds", "0.3"});

  EXPECT_EQ(run.exit_code, 3) << run.err;
  const json report = json::parse(run.out);
  EXPECT_EQ(report["intended"], 300u);
  EXPECT_EQ(report["messages"], 0u);
  EXPECT_EQ(report["unfinished"], 300u);
  EXPECT_EQ(report["unsent"], 299u);
  EXPECT_EQ(report["errors"]["unanswered"], 1u);
  EXPECT_GE(report["latency_us"]["p50"], 149'000.0);
  EXPECT_GE(report["latency_us"]["max"], 299'000.0);
}

TEST(LoadFaults, a_doubled_byte_is_seen) {
  load_faults faults;
  faults.double_at = in_the_load;
  load_server server(faults);

  const json report = bad_run(server);

  EXPECT_GT(report["corrupt_bytes"], 0u);
  EXPECT_GT(report["bytes_received"], report["bytes_sent"]);
}

TEST(LoadFaults, swapped_connections_are_seen) {
  load_faults faults;
  faults.swap_from = 64 * 10;
  load_server server(faults);

  const json report = bad_run(server);

  EXPECT_GT(report["corrupt_bytes"], 0u);
}

TEST(LoadFaults, a_connection_closed_during_the_run_is_reported) {
  load_faults faults;
  faults.close_at = in_the_load;
  load_server server(faults);

  const json report = bad_run(server);

  EXPECT_EQ(report["lost"], 1u);
  std::uint64_t errors = 0;
  for (const auto& [kind, count] : report["errors"].items()) {
    EXPECT_TRUE(kind == "closed_by_peer" || kind == "ECONNRESET" || kind == "EPIPE") << kind;
    errors += count.get<std::uint64_t>();
  }
  EXPECT_EQ(errors, 1u);
  EXPECT_EQ(report["corrupt_bytes"], 0u);
}

TEST(LoadFaults, a_connection_lost_while_idle_is_reported) {
  load_server server;
  process load({program, server.address(), "--connections", "3", "--idle", "--seconds", "600"});
  load.wait_for_line("holding 3 connections", stream::err);

  server.drop_connections();

  EXPECT_EQ(load.wait(), 3);
  EXPECT_NE(load.output(stream::out).find("3 lost"), std::string::npos);
}

TEST(LoadFaults, connections_that_break_before_the_load_end_the_run) {
  load_faults faults;
  faults.connection = 1;
  faults.close_at = 0;
  load_server server(faults);

  const process_result run = process::run({program, server.address(), "--connections", "2"});

  EXPECT_EQ(run.exit_code, 1);
  expect_one_line(run, server.address());
}

TEST(LoadFaults, a_refused_connect_names_the_address) {
  weft::test::unique_fd holder;
  const std::string address = "127.0.0.1:" + std::to_string(weft::test::refused_port(holder));
  for (const std::string mode : {"--json", "--churn", "--idle", "--clients=3", "--rate=10"}) {
    const process_result run = process::run({program, address, mode});

    EXPECT_EQ(run.exit_code, 1);
    expect_one_line(run, "cannot connect to " + address + ": Connection refused");
  }
}

TEST(LoadFaults, a_missing_unix_socket_names_the_path) {
  const process_result run = process::run({program, "unix:/nowhere/at/all"});

  EXPECT_EQ(run.exit_code, 1);
  expect_one_line(run, "unix:/nowhere/at/all: No such file or directory");
}

TEST(LoadFaults, too_few_file_descriptors_name_the_limit_and_the_need) {
  const process_result run = process::run({"sh", "-c", "ulimit -n 64; exec \"$0\" \"$@\"", program,
                                           "127.0.0.1:1", "--connections", "100"});

  EXPECT_EQ(run.exit_code, 1);
  expect_one_line(run, "116 file descriptors");
  expect_one_line(run, "limit is 64");
  expect_one_line(run, "ulimit -n");
}

TEST(LoadFaults, the_soft_limit_on_file_descriptors_is_raised) {
  load_server server;

  const process_result run =
      process::run({"sh", "-c", "ulimit -S -n 64; exec \"$0\" \"$@\"", program, server.address(),
                    "--connections", "100", "--idle", "--seconds", "0.01"});

  EXPECT_EQ(run.exit_code, 0) << run.err;
}

TEST(LoadFaults, a_killed_client_process_ends_the_run) {
  load_server server;
  process load({program, server.address(), "--clients", "2", "--idle", "--seconds", "600"});
  load.wait_for_line("holding", stream::err);
  const process_result children =
      process::run({"cat", "/proc/" + std::to_string(load.pid()) + "/task/" +
                               std::to_string(load.pid()) + "/children"});

  ASSERT_EQ(::kill(static_cast<pid_t>(std::stol(children.out)), SIGKILL), 0);

  EXPECT_EQ(load.wait(), 1);
  EXPECT_NE(load.output(stream::err).find("was killed by signal 9"), std::string::npos);
}

TEST(LoadFaults, its_connections_end_with_a_killed_run) {
  load_server server;
  process load({program, server.address(), "--clients", "2", "--idle", "--seconds", "600"});
  load.wait_for_line("holding", stream::err);

  load.signal(SIGKILL);

  EXPECT_EQ(load.wait(), 137);  // returns once the clients, which share its pipes, are gone too
}

TEST(LoadFaults, help_names_the_exit_codes) {
  const process_result run = process::run({program, "--help"});

  EXPECT_EQ(run.exit_code, 0);
  EXPECT_NE(run.out.find("Exit codes:"), std::string::npos);
  EXPECT_EQ(run.err, "");
}

struct usage_error {
  std::vector<std::string> arguments;
  std::string part;  // of the line that explains
};

void PrintTo(const usage_error& each, std::ostream* out) {
  for (const std::string& argument : each.arguments) *out << argument << ' ';
}

class LoadUsage : public testing::TestWithParam<usage_error> {};

TEST_P(LoadUsage, is_refused_on_one_line) {
  std::vector<std::string> argv{program};
  argv.insert(argv.end(), GetParam().arguments.begin(), GetParam().arguments.end());

  const process_result run = process::run(argv);

  EXPECT_EQ(run.exit_code, 2);
  expect_one_line(run, GetParam().part);
}

const std::string a = "127.0.0.1:1";

INSTANTIATE_TEST_SUITE_P(
    Arguments, LoadUsage,
    testing::Values(
        usage_error{{}, "HOST:PORT"}, usage_error{{"127.0.0.1"}, "unix:/path"},
        usage_error{{"127.0.0.1:0"}, "from 1 to 65535"},
        usage_error{{"127.0.0.1:65536"}, "from 1 to 65535"},
        usage_error{{"127.0.0.1:80x"}, "from 1 to 65535"},
        usage_error{{"example.org:80"}, "no numeric host"}, usage_error{{"::1:80"}, "[::1]:PORT"},
        usage_error{{"unix:"}, "names no path"},
        usage_error{{"unix:" + std::string(200, 'x')}, "longer than 107 bytes"},
        usage_error{{a, "--frobnicate"}, "--frobnicate; accepted are --help, --connections"},
        usage_error{{"127.0.0.1:080"}, "from 1 to 65535"},
        usage_error{{a, "--connections", "0100"}, "'0100' is not accepted"},
        usage_error{{a, "--connections", "0x10"}, "'0x10' is not accepted"},
        usage_error{{a, "--connections", "+64"}, "'+64' is not accepted"},
        usage_error{{a, "--connections", " 64"}, "' 64' is not accepted"},
        usage_error{{a, "extra"}, "extra"},
        usage_error{{a, "--connections", "0"}, "from 1 to 1000000"},
        usage_error{{a, "--connections", "-1"}, "from 1 to 1000000"},
        usage_error{{a, "--connections", "ten"}, "from 1 to 1000000"},
        usage_error{{a, "--message-bytes", "0"}, "from 1 to"},
        usage_error{{a, "--depth", "0"}, "from 1 to 4096"},
        usage_error{{a, "--depth", "4096", "--message-bytes", "1000000"}, "at most 1 GiB"},
        usage_error{{a, "--seconds", "-1"}, "a number of seconds from"},
        usage_error{{a, "--seconds", "nan"}, "a number of seconds from"},
        usage_error{{a, "--warm-up", "-0.5"}, "a number of seconds from 0"},
        usage_error{{a, "--rate", "0"}, "messages per second from"},
        usage_error{{a, "--clients", "0"}, "from 1 to 256"},
        usage_error{{a, "--clients", "8", "--connections", "4"}, "expected at most as many"},
        usage_error{{a, "--churn", "--depth", "2"}, "expected --depth 1"},
        usage_error{{a, "--churn", "--idle"}, "excludes"},
        usage_error{{a, "--rate", "5", "--idle"}, "excludes"}));

}  // namespace
