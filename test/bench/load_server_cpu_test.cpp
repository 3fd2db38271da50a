// weft-load with --server-pid: the CPU time of the server over just the time that it measures.
#include <ctime>
#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "load_server.hpp"
#include "support/process.hpp"

namespace {

using nlohmann::json;
using weft::test::load_server;
using weft::test::process;
using weft::test::process_result;

process_result load(const load_server& server, const std::vector<std::string>& more) {
  std::vector<std::string> command{std::string{WEFT_BIN_DIR} + "/weft-load",
                                   server.address(),
                                   "--json",
                                   "--connections",
                                   "4",
                                   "--seconds",
                                   "0.3",
                                   "--warm-up",
                                   "0.1"};
  command.insert(command.end(), more.begin(), more.end());
  return process::run(command);
}

double cpu_seconds() {
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

// The server runs in a thread of this process.
TEST(LoadServerCpu, is_more_than_nothing_and_less_than_in_the_whole_run) {
  for (const char* mode : {"--depth=1", "--churn"}) {
    load_server server;
    const double begin = cpu_seconds();

    const process_result run = load(server, {mode, "--server-pid", std::to_string(::getpid())});

    const double whole = cpu_seconds() - begin;
    ASSERT_EQ(run.exit_code, 0) << run.err;
    const double measured = json::parse(run.out)["server_cpu_ns"].get<double>() / 1e9;
    EXPECT_GT(measured, 0) << mode;
    EXPECT_LT(measured, whole) << mode;
  }
}

TEST(LoadServerCpu, is_null_when_the_server_is_not_known) {
  const load_server server;

  const process_result run = load(server, {});

  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_TRUE(json::parse(run.out)["server_cpu_ns"].is_null());
}

TEST(LoadServerCpu, is_refused_for_a_process_that_is_not_there) {
  const load_server server;

  const process_result run = load(server, {"--server-pid", "4194304"});

  EXPECT_EQ(run.exit_code, 1);
  EXPECT_NE(run.err.find("--server-pid"), std::string::npos) << run.err;
}

TEST(LoadServerCpu, is_refused_for_what_is_no_process_number) {
  const load_server server;

  const process_result run = load(server, {"--server-pid", "0"});

  EXPECT_EQ(run.exit_code, 2);
  EXPECT_NE(run.err.find("process number"), std::string::npos) << run.err;
}

}  // namespace
