// What an echo server says when the machine has too little for it: one line that names the limit,
// and the end, whichever of its workers has met it.
#include <csignal>

#include "echo_servers.hpp"
#include "support/sanitizers.hpp"

namespace weft::test {
namespace {

constexpr bool sanitized = under_asan || under_tsan;

// Runs a server, on a free port, behind `preparation` in a shell.
process_result run_server(const std::string& name, const std::string& preparation,
                          const std::string& arguments) {
  return process::run(
      {"/bin/sh", "-c", preparation + " && exec " + program_path(name) + " --port 0 " + arguments});
}

// Expects code 1 and one line on stderr, by the server `name`, with all of `words`.
void expect_shortage(const process_result& result, const std::string& name,
                     const std::vector<std::string>& words) {
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.err.find('\n'), result.err.size() - 1) << result.err;
  EXPECT_EQ(result.err.rfind(name + ": ", 0), 0u) << result.err;
  for (const std::string& word : words) {
    EXPECT_NE(result.err.find(word), std::string::npos) << result.err;
  }
}

using EchoShortageTest = EchoServer;
INSTANTIATE_TEST_SUITE_P(Servers, EchoShortageTest, testing::ValuesIn(echo_server_names()),
                         test_name);

TEST_P(EchoShortageTest, names_the_limit_of_memory_that_is_too_low_for_its_workers) {
  if (sanitized) GTEST_SKIP() << "a sanitizer needs more address space than any limit";

  const process_result result = run_server(GetParam(), "ulimit -v 60000", "--workers 1000");

  expect_shortage(result, GetParam(), {"worker", "60000", "ulimit -v"});
}

// The workers of echo-threads need no descriptors.
using EchoDescriptorsTest = EchoServer;
INSTANTIATE_TEST_SUITE_P(Servers, EchoDescriptorsTest,
                         testing::Values("echo-callbacks", "echo-fibers", "echo-coroutines"),
                         test_name);

TEST_P(EchoDescriptorsTest, names_the_limit_of_open_files_that_is_too_low_for_its_workers) {
  if (under_asan) GTEST_SKIP() << "the leak checker needs descriptors of its own";

  for (const std::string limit : {"9", "16", "21"}) {
    const process_result result = run_server(GetParam(), "ulimit -n " + limit, "--workers 20");

    expect_shortage(result, GetParam(), {"limit is " + limit, "ulimit -n"});
  }
}

using EchoOnWeftShortage = EchoServer;
INSTANTIATE_TEST_SUITE_P(Servers, EchoOnWeftShortage,
                         testing::Values("echo-fibers", "echo-coroutines"), test_name);

TEST_P(EchoOnWeftShortage, of_open_files_is_found_before_anything_runs) {
  const process_result one = run_server(GetParam(), "ulimit -n 5", "");
  const process_result twenty = run_server(GetParam(), "ulimit -n 24", "--workers 20");
  const process_result with_others =
      run_server(GetParam(), "exec 5</dev/null 6<&5 7<&5 8<&5 9<&5 && ulimit -n 16", "--workers 3");

  expect_shortage(one, GetParam(), {"limit is 5", "ulimit -n"});
  expect_shortage(twenty, GetParam(), {"--workers 20", "limit is 24", "ulimit -n"});
  expect_shortage(with_others, GetParam(), {"--workers 3", "limit is 16", "ulimit -n"});
  EXPECT_EQ(one.out + twenty.out + with_others.out, "");
}

}  // namespace
}  // namespace weft::test
