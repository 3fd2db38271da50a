// weft-load as a process against an echo server that does its work: every mode ends well, and its
// numbers add up.
#include <csignal>
#include <cstdint>
#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "load_server.hpp"
#include "support/process.hpp"

namespace {

using nlohmann::json;
using weft::test::load_faults;
using weft::test::load_server;
using weft::test::process;
using weft::test::process_result;
using weft::test::stream;

std::vector<std::string> load_command(const load_server& server, std::vector<std::string> more) {
  std::vector<std::string> argv{WEFT_BIN_DIR "/weft-load", server.address()};
  argv.insert(argv.end(), more.begin(), more.end());
  return argv;
}

// Runs with --json and a short time, and checks what holds for every good run.
json good_run(load_server& server, std::vector<std::string> more,
              const std::string& seconds = "0.3") {
  for (const std::string& each : {std::string("--json"), std::string("--seconds"), seconds,
                                  std::string("--warm-up"), std::string("0.1")}) {
    more.push_back(each);
  }
  const process_result run = process::run(load_command(server, more));
  EXPECT_EQ(run.exit_code, 0) << run.out << run.err;
  const json report = json::parse(run.out);
  const std::uint64_t message_bytes = report["message_bytes"];
  const std::uint64_t total = report["messages_total"];
  EXPECT_TRUE(report["messages"] > 0u || report["unfinished"] > 0u) << report;
  EXPECT_GE(total, report["messages"].get<std::uint64_t>());
  EXPECT_EQ(report["bytes_sent"], total * message_bytes);
  EXPECT_EQ(report["bytes_received"], total * message_bytes);
  EXPECT_EQ(server.bytes(), total * message_bytes);
  EXPECT_EQ(report["corrupt_bytes"], 0u);
  EXPECT_EQ(report["lost"], 0u);
  EXPECT_TRUE(report["errors"].empty()) << report["errors"];
  EXPECT_FALSE(report["interrupted"]);
  return report;
}

void expect_ordered_latencies(const json& report) {
  const json& us = report["latency_us"];
  EXPECT_GT(us["p50"], 0.0);
  EXPECT_LE(us["p50"], us["p90"]);
  EXPECT_LE(us["p90"], us["p99"]);
  EXPECT_LE(us["p99"], us["p999"]);
  EXPECT_LE(us["p999"], us["max"]);
}

TEST(LoadModes, a_closed_loop_gets_back_all_that_it_sent) {
  load_server server;

  const json report = good_run(server, {"--connections", "20"});

  EXPECT_EQ(report["mode"], "closed");
  EXPECT_EQ(report["connections"], 20u);
  EXPECT_EQ(report["depth"], 1u);
  EXPECT_TRUE(report["rate"].is_null());
  EXPECT_TRUE(report["intended"].is_null());
  EXPECT_EQ(report["seconds"], 0.3);
  EXPECT_DOUBLE_EQ(report["messages_per_second"].get<double>(),
                   report["messages"].get<double>() / 0.3);
  EXPECT_GT(report["client_cpu_fraction"], 0.0);
  EXPECT_EQ(report["bottleneck"].get<bool>(), report["client_cpu_fraction"].get<double>() +
                                                      report["client_wait_fraction"].get<double>() >
                                                  0.8);
  EXPECT_EQ(server.accepted(), 20u);
  expect_ordered_latencies(report);
}

TEST(LoadModes, a_closed_loop_keeps_sixteen_messages_in_flight) {
  load_server server;

  const json report = good_run(server, {"--connections", "4", "--depth", "16"});

  EXPECT_EQ(report["depth"], 16u);
  EXPECT_EQ(server.accepted(), 4u);
  expect_ordered_latencies(report);
}

TEST(LoadModes, messages_larger_than_every_buffer_come_back_whole) {
  load_server server;

  const json report =
      good_run(server, {"--connections", "2", "--message-bytes", "1048583", "--depth", "3"});

  EXPECT_EQ(report["message_bytes"], 1048583u);
}

TEST(LoadModes, messages_of_one_byte_are_told_apart) {
  load_server server;

  const json report =
      good_run(server, {"--connections", "3", "--message-bytes", "1", "--depth", "7"});

  EXPECT_EQ(report["message_bytes"], 1u);
}

TEST(LoadModes, an_open_loop_starts_as_many_messages_as_the_rate_asks_for) {
  load_server server;

  const json report =
      good_run(server, {"--connections", "10", "--depth", "8", "--rate", "1000"}, "0.5");

  EXPECT_EQ(report["mode"], "open");
  EXPECT_EQ(report["rate"], 1000.0);
  EXPECT_EQ(report["intended"], 500u);
  EXPECT_EQ(report["messages"].get<std::uint64_t>() + report["unfinished"].get<std::uint64_t>(),
            500u);
  EXPECT_GT(report["messages"], 0u);
  expect_ordered_latencies(report);
}

// The server sleeps 0.4 s once. Of the 1,000 messages at least 300 were to start more than 0.1 s
// before it woke up; a loop that waits for each reply before it looks at the clock would see one.
TEST(LoadModes, an_open_loop_charges_a_stall_to_every_message_it_kept_waiting) {
  load_faults faults;
  faults.stall_at = 64 * 200;
  faults.stall = std::chrono::milliseconds(400);
  load_server server(faults);

  const json report = good_run(server, {"--connections", "1", "--rate", "1000"}, "1");

  EXPECT_EQ(report["intended"], 1000u);
  EXPECT_GE(report["latency_us"]["p90"], 100'000.0);
  EXPECT_GE(report["late_starts"], 300u);
}

// No machine echoes a thousand million messages a second: nearly all of them are due and
// unfinished.
TEST(LoadModes, an_open_loop_beyond_all_capacity_counts_every_message_that_was_due) {
  load_server server;

  const json report = good_run(server, {"--connections", "4", "--rate", "1e9"});

  EXPECT_NEAR(report["intended"].get<double>(), 300e6, 4);
  EXPECT_EQ(report["messages"].get<std::uint64_t>() + report["unfinished"].get<std::uint64_t>(),
            report["intended"].get<std::uint64_t>());
  EXPECT_EQ(report["unsent"], report["unfinished"]);  // what was sent has come back
  EXPECT_LE(report["overdue"], report["completed"]);
  EXPECT_NEAR(report["messages_per_second"].get<double>() * report["seconds"].get<double>(),
              report["completed"].get<double>(), 1);
  EXPECT_GE(report["latency_us"]["p50"], 100'000.0);
  EXPECT_LE(report["client_cpu_fraction"], 1.01);
  expect_ordered_latencies(report);
}

TEST(LoadModes, an_open_loop_far_behind_still_reads_replies_and_obeys_ctrl_c) {
  load_server server;
  process load(load_command(server, {"--connections", "4", "--rate", "1e9", "--warm-up", "0",
                                     "--seconds", "600", "--json"}));

  ASSERT_TRUE(server.wait_for_bytes(64 * 1000));
  load.signal(SIGINT);

  EXPECT_EQ(load.wait(), 130);
  const json report = json::parse(load.output(stream::out));
  EXPECT_GT(report["messages"], 0u);
  EXPECT_GT(report["unsent"], report["messages"]);
  EXPECT_EQ(report["messages"].get<std::uint64_t>() + report["unfinished"].get<std::uint64_t>(),
            report["intended"].get<std::uint64_t>());
}

TEST(LoadModes, churn_opens_a_connection_for_every_exchange) {
  load_server server;

  const json report = good_run(server, {"--connections", "8", "--churn"});

  EXPECT_EQ(report["mode"], "churn");
  EXPECT_EQ(server.accepted(), report["messages_total"]);
  EXPECT_DOUBLE_EQ(report["connections_per_second"].get<double>(),
                   report["messages"].get<double>() / report["seconds"].get<double>());
  EXPECT_GT(server.sources(), 1u);
  expect_ordered_latencies(report);
}

TEST(LoadModes, idle_exchanges_one_message_on_each_connection_and_holds_them) {
  load_server server;

  const json report = good_run(server, {"--connections", "200", "--idle"});

  EXPECT_EQ(report["mode"], "idle");
  EXPECT_EQ(report["messages"], 200u);
  EXPECT_EQ(report["messages_total"], 200u);
  EXPECT_EQ(server.accepted(), 200u);
}

TEST(LoadModes, idle_says_when_all_connections_are_held) {
  load_server server;
  process load(load_command(server, {"--connections", "20", "--idle", "--seconds", "600"}));

  load.wait_for_line("holding 20 connections", stream::err);

  EXPECT_EQ(server.accepted(), 20u);
  EXPECT_EQ(server.bytes(), 20u * 64);
  load.signal(SIGINT);
  EXPECT_EQ(load.wait(), 130);
}

TEST(LoadModes, client_processes_share_the_connections_and_come_from_different_addresses) {
  load_server server;

  const json report = good_run(server, {"--connections", "9", "--clients", "2", "--depth", "2"});

  EXPECT_EQ(report["clients"], 2u);
  EXPECT_EQ(report["connections"], 9u);
  EXPECT_EQ(server.accepted(), 9u);
  EXPECT_GT(server.sources(), 1u);
  expect_ordered_latencies(report);
}

TEST(LoadModes, client_processes_share_the_rate) {
  load_server server;

  const json report = good_run(
      server, {"--connections", "7", "--clients", "3", "--rate", "1000", "--depth", "8"}, "0.5");

  EXPECT_EQ(report["intended"], 500u);
}

TEST(LoadModes, every_mode_works_over_a_unix_socket) {
  const std::string path = testing::TempDir() + "weft-load-" + std::to_string(::getpid());
  const std::vector<std::vector<std::string>> modes{
      {"--connections", "150"}, {"--depth", "16"}, {"--message-bytes", "300000"},
      {"--rate", "500"},        {"--churn"},       {"--idle", "--clients", "2"}};
  for (const auto& mode : modes) {
    load_server server(path, {});

    const json report = good_run(server, mode);

    EXPECT_EQ(report["target"], "unix:" + path);
  }
}

TEST(LoadModes, the_text_report_says_the_same_in_a_few_lines) {
  load_server server;

  const process_result run = process::run(load_command(
      server, {"--connections", "4", "--seconds", "0.2", "--warm-up", "0", "--depth", "2"}));

  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_NE(run.out.find("closed: 4 connections x 64 B, depth 2"), std::string::npos) << run.out;
  EXPECT_NE(run.out.find("latency us   p50 "), std::string::npos) << run.out;
  EXPECT_NE(run.out.find(" 0 corrupt"), std::string::npos) << run.out;
  EXPECT_EQ(run.err, "");
}

TEST(LoadModes, ctrl_c_reports_what_was_measured) {
  load_server server;
  process load(load_command(server, {"--connections", "5", "--clients", "2", "--warm-up", "0",
                                     "--seconds", "600", "--json"}));

  ASSERT_TRUE(server.wait_for_bytes(64 * 1000));
  load.signal(SIGINT);

  EXPECT_EQ(load.wait(), 130);
  const json report = json::parse(load.output(stream::out));
  EXPECT_TRUE(report["interrupted"]);
  EXPECT_GT(report["messages"], 0u);
  EXPECT_EQ(report["corrupt_bytes"], 0u);
  EXPECT_LT(report["seconds"], 600.0);
}

}  // namespace
