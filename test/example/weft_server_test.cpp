// What becomes of a server on weft of which one worker fails: all of it ends, and says why.
#include <atomic>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <system_error>

#include <gtest/gtest.h>

#include "../../example/support/weft_server.hpp"

namespace example {
namespace {

constexpr unsigned workers = 3;

// Runs a server whose worker that comes as number `failing`, of the main thread or another, calls
// `fail`; ends the process with its code.
template <class Fail>
[[noreturn]] void run_with_failure(unsigned failing, Fail fail) {
  std::atomic<unsigned> started{0};
  server_options options;
  options.port = 0;
  options.workers = workers;
  std::exit(run_weft_server("server", options, [&](weft::net::listener& own) {
    if (started.fetch_add(1) == failing) fail();
    weft::net::serve(own, [](weft::net::socket&) {});
  }));
}

// Each in a process of its own, for the signals and the exit; started anew, for the threads.
class WeftServer : public testing::TestWithParam<unsigned> {
protected:
  WeftServer() { testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

INSTANTIATE_TEST_SUITE_P(Failing, WeftServer, testing::Range(0U, workers));

TEST_P(WeftServer, ends_with_one_line_when_a_worker_fails) {
  EXPECT_EXIT(run_with_failure(GetParam(), [] { throw std::runtime_error("what it says"); }),
              testing::ExitedWithCode(1), "^server: what it says\n$");
}

TEST_P(WeftServer, names_the_limit_of_open_files_that_a_worker_has_met) {
  EXPECT_EXIT(run_with_failure(GetParam(),
                               [] {
                                 throw std::system_error(
                                     std::make_error_code(std::errc::too_many_files_open), "poll");
                               }),
              testing::ExitedWithCode(1),
              "^server: poll: Too many open files; the limit is [0-9]+ .ulimit -n.\n$");
}

TEST_P(WeftServer, names_the_limit_of_memory_that_a_worker_has_met) {
  EXPECT_EXIT(run_with_failure(GetParam(), [] { throw std::bad_alloc(); }),
              testing::ExitedWithCode(1), "^server: out of memory; the limit is .*ulimit -v.\n$");
}

}  // namespace
}  // namespace example
