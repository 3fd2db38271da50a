// weft-compare as a process: tiny runs over real servers, and what it does with bad input and with
// Ctrl-C.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "compare_runs.hpp"
#include "support/process.hpp"
#include "support/scratch_folder.hpp"

namespace weft::test {
namespace {

TEST(Compare, measures_every_case_on_every_server) {
  const scratch_folder folder;
  const fs::path file = folder.path() / "result.json";

  const process_result run =
      process::run(with_two_servers({"--cases", "4x64,4x64x2,churn-2,idle-4", "--json", file}));

  ASSERT_EQ(run.exit_code, 0) << run.out << run.err;
  expect_line(run.out, "4 connections x 64 B, 2 in flight");
  expect_line(run.out, "connect, one exchange, close: 2 at a time");
  expect_line(run.out, "4 idle connections");
  const nlohmann::json result = read_json(file);
  ASSERT_EQ(result["cells"].size(), 8U);
  for (const auto& cell : result["cells"]) EXPECT_TRUE(cell["failure"].is_null()) << cell;
}

TEST(Compare, finds_what_the_cases_are_about) {
  const scratch_folder folder;
  const fs::path file = folder.path() / "result.json";

  const process_result run =
      process::run(with_two_servers({"--cases", "4x64,idle-50", "--json", file}));

  ASSERT_EQ(run.exit_code, 0) << run.out << run.err;
  const nlohmann::json result = read_json(file);
  for (const auto& cell : result["cells"]) {
    if (cell["kind"] == "idle") {
      EXPECT_TRUE(cell["cpu_ns_per_request"].is_null());
      EXPECT_TRUE(cell["rss_bytes_per_connection"].is_number());
      EXPECT_TRUE(cell["kernel_bytes_per_connection"].is_number());
      continue;
    }
    EXPECT_GT(cell["cpu_ns_per_request"], 100);  // two system calls cost more on any machine
    EXPECT_GT(cell["requests_per_second"], 0);
    EXPECT_GE(cell["p99_us"], cell["p50_us"]);
  }
}

TEST(Compare, offers_a_share_of_what_the_callbacks_answered) {
  const scratch_folder folder;
  const fs::path file = folder.path() / "result.json";

  const process_result run = process::run(with_two_servers({"--cases", "4x64@10", "--json", file}));

  ASSERT_EQ(run.exit_code, 0) << run.out << run.err;
  const nlohmann::json result = read_json(file);
  const double capacity = result["capacities"]["4x64"];
  for (const auto& cell : result["cells"]) {
    EXPECT_NEAR(cell["offered_per_second"], capacity / 10, 1) << cell;
    EXPECT_LT(cell["requests_per_second"], capacity / 5) << cell;
  }
}

TEST(Compare, takes_samples_that_do_not_count_before_the_others) {
  const scratch_folder folder;
  const fs::path file = folder.path() / "result.json";

  const process_result run = process::run(
      tiny(build, {"--cases", "2x64", "--only", "callbacks", "--json", file}, "3", "2"));

  ASSERT_EQ(run.exit_code, 0) << run.out << run.err;
  const nlohmann::json result = read_json(file);
  EXPECT_EQ(result["warm_up_rounds"], 2);
  std::size_t used = 0;
  for (const auto& sample : result["samples"]) used += sample["used"] ? 1 : 0;
  EXPECT_EQ(used, 3U);
}

TEST(Compare, lists_what_it_can_measure) {
  const process_result run = process::run({build / "weft-compare", "--list", "--full"});

  EXPECT_EQ(run.exit_code, 0);
  expect_line(run.out, "  callbacks      a state machine on raw epoll");
  expect_line(run.out, "  64x64@95       64 connections x 64 B, at 95 % of capacity");
}

TEST(Compare, measures_the_cases_with_the_wanted_connections_alone) {
  const process_result run =
      process::run({build / "weft-compare", "--list", "--connections", "1000"});

  EXPECT_EQ(run.exit_code, 0);
  expect_line(run.out, "1000x64");
  EXPECT_EQ(run.out.find("64x64 "), std::string::npos) << run.out;
}

TEST(Compare, records_where_it_was_made) {
  const scratch_folder folder;
  const fs::path file = folder.path() / "result.json";

  const process_result run =
      process::run(with_two_servers({"--cases", "2x64", "--seed", "7", "--json", file}));

  ASSERT_EQ(run.exit_code, 0) << run.out << run.err;
  expect_line(run.out, "--seed 7");
  const nlohmann::json result = read_json(file);
  for (const char* field : {"date", "kernel", "cpu", "compiler", "build_type", "governor", "commit",
                            "mitigations", "flags"}) {
    EXPECT_FALSE(result["environment"][field].is_null()) << field;
  }
  EXPECT_EQ(result["settings"]["seed"], 7);
}

// Expects the end of a program that was called wrongly: code 2, one line that has `part`.
void expect_refused(const words& arguments, const std::string& part) {
  words command{build / "weft-compare"};
  command.insert(command.end(), arguments.begin(), arguments.end());

  const process_result run = process::run(command);

  EXPECT_EQ(run.exit_code, 2);
  EXPECT_EQ(run.out, "");
  EXPECT_EQ(run.err.find('\n'), run.err.size() - 1) << run.err;
  expect_line(run.err, part);
}

TEST(CompareArguments, are_refused_in_one_line_that_says_what_is_accepted) {
  expect_refused({"--only", "magic"}, "accepted are threads");
  expect_refused({"--only", "threads,threads"}, "twice");
  expect_refused({"--cases", "many"}, "CONNECTIONSxBYTES");
  expect_refused({"--cases", "64x64,64x64"}, "twice");
  expect_refused({"--rounds", "0"}, "from 1 to");
  expect_refused({"--rounds", "-1"}, "from 1 to");
  expect_refused({"--seconds", "nan"}, "from 0.05 to");
  expect_refused({"--warm-up", "long"}, "from 0 to");
  expect_refused({"--seed", "x"}, "from 0 to");
  expect_refused({"--quick", "--full"}, "--full");
  expect_refused({"--fast"}, "--fast; accepted are --help, --quick, --full, --list, --cases");
  expect_refused({"--rounds", "010"}, "from 1 to 100000 in plain decimal");
  expect_refused({"--cases", ""}, "CONNECTIONSxBYTES");
  expect_refused({"--only", ""}, "accepted are threads");
  expect_refused({"--json", ""}, "'' is not accepted, expected the name of a file");
  expect_refused({"--out", ""}, "'' is not accepted, expected the name of a file");
  expect_refused({"--out", "x", "--json", "x"}, "'x' is the file of --json too");
  expect_refused({"--connections", "0"}, "from 1 to 1,000,000");
  expect_refused({"--connections", "65"}, "none of the cases has 65");
  expect_refused({"--cases", "64x64x2@80"}, "CONNECTIONSxBYTES@PERCENT");
}

TEST(CompareArguments, are_told_on_request) {
  const process_result run = process::run({build / "weft-compare", "--help"});

  EXPECT_EQ(run.exit_code, 0);
  for (const char* option : {"--quick", "--full", "--list", "--cases", "--connections", "--only",
                             "--rounds", "--json", "--out"}) {
    expect_line(run.out, option);
  }
}

TEST(CompareArguments, that_name_a_file_which_cannot_be_written_cost_no_run) {
  const process_result run =
      process::run(with_two_servers({"--json", "/nowhere/result.json"}, "1000"));

  EXPECT_EQ(run.exit_code, 1);
  expect_line(run.err, "/nowhere/result.json");
}

TEST(Compare, skips_a_case_that_the_limit_of_open_files_does_not_allow) {
  std::string command = "ulimit -n 100 && exec";
  for (const std::string& word : with_two_servers({"--cases", "4x64,500x64"})) {
    command += " " + word;
  }

  const process_result run = process::run({"/bin/sh", "-c", command});

  EXPECT_EQ(run.exit_code, 0) << run.out << run.err;
  expect_line(run.out, "4 connections x 64 B");
  expect_line(run.out, "500x64: skipped");
  expect_line(run.out, "is 100");
}

// Returns the processes whose parent is `parent`.
std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> found;
  for (const auto& entry : fs::directory_iterator{"/proc"}) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream file{entry.path() / "stat"};
    std::string text;
    std::getline(file, text);
    const std::size_t after_name = text.rfind(") ");  // the name itself may hold blanks
    if (after_name == std::string::npos) continue;
    if (std::stoi(text.substr(after_name + 4)) == parent) found.push_back(std::stoi(name));
  }
  return found;
}

TEST(CompareInterrupt, ends_all_processes_and_prints_what_there_is) {
  const scratch_folder folder;
  const fs::path file = folder.path() / "result.json";
  process run{with_two_servers({"--cases", "2x64", "--json", file}, "1000")};
  run.wait_for_line("1000 rounds");
  std::vector<pid_t> children;
  while (children.empty()) children = children_of(run.pid());

  run.signal(SIGINT);

  EXPECT_EQ(run.wait(), 130);
  expect_line(run.output(stream::out), "interrupted");
  EXPECT_TRUE(read_json(file)["interrupted"]);
  for (const pid_t child : children) EXPECT_NE(::kill(child, 0), 0) << child;
}

}  // namespace
}  // namespace weft::test
