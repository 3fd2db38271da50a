// What the first programs print, in which order, and how they end: by themselves, by a wrong
// argument, by a signal.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "programs.hpp"
#include "support/process.hpp"

namespace weft::test {
namespace {

// Ten minutes: whoever waits that long was not interrupted.
const std::string very_long_ms = "600000";

// The programs of one row of examples in every style; all of them pass the same suite.
class BasicProgram : public testing::TestWithParam<const char*> {
protected:
  static std::vector<std::string> command(std::vector<std::string> arguments = {}) {
    arguments.insert(arguments.begin(), program_path(GetParam()));
    return arguments;
  }

  // Runs the program to its end, which must be a good one, and returns what it printed.
  static std::string output_of(std::vector<std::string> arguments = {}) {
    const process_result result = process::run(command(std::move(arguments)));
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_EQ(result.err, "");
    return result.out;
  }

  // Expects that the program refuses `arguments` with code 2 and one line with all of `words`.
  static void expect_refused(std::vector<std::string> arguments,
                             const std::vector<std::string>& words) {
    test::expect_refused(process::run(command(std::move(arguments))), words);
  }
};

std::string test_name(const testing::TestParamInfo<const char*>& program) {
  std::string name = program.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

using BasicsTest = BasicProgram;
INSTANTIATE_TEST_SUITE_P(Programs, BasicsTest,
                         testing::Values("hello-fibers", "hello-coroutines", "foo-bar-fibers",
                                         "foo-bar-coroutines", "chain-fibers", "chain-coroutines",
                                         "fib-memo-fibers", "fib-memo-coroutines",
                                         "cooperative-fibers", "cooperative-coroutines",
                                         "determinism-fibers", "determinism-coroutines",
                                         "five-sleepers-fibers", "five-sleepers-coroutines"),
                         test_name);

TEST_P(BasicsTest, prints_how_it_is_called_on_request) {
  const std::string help = output_of({"--help"});

  EXPECT_NE(help.find(std::string{"Usage: "} + GetParam()), std::string::npos) << help;
}

TEST_P(BasicsTest, refuses_a_flag_it_does_not_know) {
  expect_refused({"--colour"}, {"--colour", "--help"});
}

TEST_P(BasicsTest, refuses_an_argument_it_has_no_use_for) {
  expect_refused({"stray"}, {"stray", "--help"});
}

TEST_P(BasicsTest, fails_when_its_output_is_lost) {
  const process_result result =
      process::run({"/bin/sh", "-c", "exec " + command().front() + " > /dev/full"});

  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.err.find("cannot write the output"), std::string::npos) << result.err;
}

using HelloTest = BasicProgram;
INSTANTIATE_TEST_SUITE_P(Styles, HelloTest, testing::Values("hello-fibers", "hello-coroutines"),
                         test_name);

TEST_P(HelloTest, says_hello_world) { EXPECT_EQ(output_of(), "Hello World\n"); }

using FooBarTest = BasicProgram;
INSTANTIATE_TEST_SUITE_P(Styles, FooBarTest,
                         testing::Values("foo-bar-fibers", "foo-bar-coroutines"), test_name);

TEST_P(FooBarTest, switches_between_its_tasks_in_the_same_order_at_every_run) {
  for (int run = 0; run < 10; ++run) {
    EXPECT_EQ(output_of(), "Running in foo\n"
                           "Explicit context to bar\n"
                           "Explicit context switch to foo again\n"
                           "Implicit context switch back to bar\n");
  }
}

using ChainTest = BasicProgram;
INSTANTIATE_TEST_SUITE_P(Styles, ChainTest, testing::Values("chain-fibers", "chain-coroutines"),
                         test_name);

TEST_P(ChainTest, says_what_each_of_its_functions_adds_at_every_run) {
  for (int run = 0; run < 10; ++run) EXPECT_EQ(output_of(), "Hello World!\n");
}

using FibMemoTest = BasicProgram;
INSTANTIATE_TEST_SUITE_P(Styles, FibMemoTest,
                         testing::Values("fib-memo-fibers", "fib-memo-coroutines"), test_name);

// One part for each time that the three take their turns.
TEST_P(FibMemoTest, calculates_or_finds_in_the_same_order_at_every_run) {
  const std::string from_four_down_to_two = "calculated 1\n"
                                            "found 1 in cache\n"
                                            "found 1 in cache\n";
  const std::string two = "calculated 0\n"
                          "calculated 2\n"
                          "found 0 in cache\n"
                          "calculated 2\n"
                          "found 0 in cache\n"
                          "calculated 2\n";
  const std::string three = "found 1 in cache\n"
                            "calculated 3\n"
                            "found 1 in cache\n"
                            "calculated 3\n"
                            "found 1 in cache\n"
                            "calculated 3\n";
  const std::string four = "found 2 in cache\n"
                           "calculated 4\n"
                           "found 2 in cache\n"
                           "calculated 4\n"
                           "found 2 in cache\n"
                           "calculated 4\n";

  for (int run = 0; run < 10; ++run) {
    EXPECT_EQ(output_of(), from_four_down_to_two + two + three + four + "[3, 3, 3]\n");
  }
}

using CooperativeTest = BasicProgram;
INSTANTIATE_TEST_SUITE_P(Styles, CooperativeTest,
                         testing::Values("cooperative-fibers", "cooperative-coroutines"),
                         test_name);

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream{text};
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// Cuts the time, such as ` at 2.0 seconds`, off a line that ends with one.
std::string without_time(const std::string& line) {
  float seconds = 0;
  const std::size_t place = line.rfind(" at ");
  if (place == std::string::npos) return line;
  int size = 0;
  std::sscanf(line.c_str() + place, " at %f seconds%n", &seconds, &size);
  return place + static_cast<std::size_t>(size) == line.size() ? line.substr(0, place) : line;
}

// Both have started before one has ended. On a machine that stalls the work may end after the
// waits.
TEST_P(CooperativeTest, waits_twice_at_the_same_time) {
  std::vector<std::string> lines = lines_of(output_of({"--wait-ms", "100"}));

  std::transform(lines.begin(), lines.end(), lines.begin(), without_time);
  ASSERT_EQ(lines.size(), 6u);
  std::sort(lines.begin() + 3, lines.end());
  EXPECT_EQ(
      lines,
      (std::vector<std::string>{
          "Started Polling:", "Started Polling:", "Hey lets do some stuff while the fibers poll,",
          "Ended Polling:", "Ended Polling:", "Found 1229 primes in the meantime"}));
}

// The lines come through the pipe while the program still runs.
TEST_P(CooperativeTest, works_while_it_waits) {
  process program{command({"--wait-ms", very_long_ms})};

  program.wait_for_line("Hey lets do some stuff while the fibers poll, at ");
  program.wait_for_line("Found 1229 primes in the meantime");

  EXPECT_EQ(lines_of(program.output(stream::out)).size(), 4u);
}

TEST_P(CooperativeTest, ends_both_waits_even_without_a_time_to_wait) {
  const std::string out = output_of({"--wait-ms", "0"});

  const std::size_t first = out.find("Ended Polling");
  ASSERT_NE(first, std::string::npos) << out;
  EXPECT_NE(out.find("Ended Polling", first + 1), std::string::npos) << out;
}

TEST_P(CooperativeTest, refuses_a_wait_that_is_none) {
  for (const char* wait :
       {"-1", "soon", "1.5", "010", "0x10", "+1", "3600001", "99999999999999999999", ""}) {
    expect_refused({"--wait-ms", wait}, {"--wait-ms", wait, "3600000"});
  }
}

TEST_P(CooperativeTest, ends_by_the_signal_that_comes_during_a_wait) {
  for (const int signal : {SIGINT, SIGTERM}) {
    process program{command({"--wait-ms", very_long_ms})};
    program.wait_for_line("primes in the meantime");  // from here on there is only the wait

    program.signal(signal);

    EXPECT_EQ(program.wait(), 128 + signal);
    EXPECT_EQ(program.output(stream::out).find("Ended"), std::string::npos);
    EXPECT_EQ(program.output(stream::err), "");
  }
}

using DeterminismTest = BasicProgram;
INSTANTIATE_TEST_SUITE_P(Styles, DeterminismTest,
                         testing::Values("determinism-fibers", "determinism-coroutines"),
                         test_name);

using order = std::vector<int>;

const order in_order{1, 2, 3, 4, 5, 6, 7, 8, 9};

// The two lines that the program printed.
struct orders {
  order synchronous;
  order concurrent;
};

order parse_order(std::istream& text, const std::string& label) {
  std::string line;
  std::getline(text, line);
  EXPECT_EQ(line.substr(0, label.size()), label);
  std::istringstream numbers{line.substr(std::min(label.size(), line.size()))};
  order seen;
  for (int number = 0; numbers >> number;) seen.push_back(number);
  EXPECT_TRUE(numbers.eof()) << line;
  return seen;
}

orders parse_orders(const std::string& out) {
  std::istringstream text{out};
  orders seen;
  seen.synchronous = parse_order(text, "Synchronous: ");
  seen.concurrent = parse_order(text, "Concurrent: ");
  EXPECT_EQ(text.get(), std::char_traits<char>::eof()) << out;
  return seen;
}

TEST_P(DeterminismTest, ends_every_task_once_and_in_order_one_by_one) {
  orders seen = parse_orders(output_of());

  EXPECT_EQ(seen.synchronous, in_order);
  std::sort(seen.concurrent.begin(), seen.concurrent.end());
  EXPECT_EQ(seen.concurrent, in_order);
}

// Nine random pauses are in order once in 362,880 times, give or take the ties.
TEST_P(DeterminismTest, ends_concurrent_tasks_in_an_order_that_differs_from_run_to_run) {
  std::set<order> seen;
  for (int run = 0; run < 5; ++run) {
    seen.insert(parse_orders(output_of({"--max-pause-ms", "40"})).concurrent);
  }

  EXPECT_GT(seen.size(), 1u);
}

TEST_P(DeterminismTest, ends_tasks_that_do_not_pause_in_the_order_of_their_start) {
  const orders seen = parse_orders(output_of({"--max-pause-ms", "0"}));

  EXPECT_EQ(seen.synchronous, in_order);
  EXPECT_EQ(seen.concurrent, in_order);
}

TEST_P(DeterminismTest, refuses_a_pause_that_is_none) {
  for (const char* pause : {"-1", "long", "0.5", "010", "0x10", "+1", "3600001", ""}) {
    expect_refused({"--max-pause-ms", pause}, {"--max-pause-ms", pause, "3600000"});
  }
}

// Waits for output that is no line yet.
void wait_for_output(const process& program) {
  const auto deadline = std::chrono::steady_clock::now() + process::watchdog;
  while (program.output(stream::out).empty()) {
    if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error("no output");
    std::this_thread::yield();
  }
}

TEST_P(DeterminismTest, ends_by_the_signal_that_comes_during_a_pause) {
  for (const int signal : {SIGINT, SIGTERM}) {
    process program{command({"--max-pause-ms", very_long_ms})};
    wait_for_output(program);

    program.signal(signal);

    EXPECT_EQ(program.wait(), 128 + signal);
    EXPECT_EQ(program.output(stream::out).find("Concurrent"), std::string::npos);
    EXPECT_EQ(program.output(stream::err), "");
  }
}

TEST_P(DeterminismTest, repeats_itself_with_a_seed_and_pauses_for_nothing) {
  std::set<order> seen;
  for (const char* seed : {"1", "2", "3"}) {
    // Of an hour each: only virtual time gets through them.
    const std::vector<std::string> arguments{"--seed", seed, "--max-pause-ms", "3600000"};
    const std::string first = output_of(arguments);
    for (int run = 0; run < 3; ++run) EXPECT_EQ(output_of(arguments), first);
    EXPECT_EQ(parse_orders(first).synchronous, in_order);
    seen.insert(parse_orders(first).concurrent);
  }

  EXPECT_GT(seen.size(), 1u);
}

TEST_P(DeterminismTest, orders_tasks_that_do_not_pause_by_the_seed) {
  const std::string first = output_of({"--seed", "4", "--max-pause-ms", "0"});

  EXPECT_EQ(output_of({"--seed", "4", "--max-pause-ms", "0"}), first);
  EXPECT_NE(parse_orders(first).concurrent, in_order);
}

TEST_P(DeterminismTest, refuses_a_seed_that_is_none) {
  for (const char* seed : {"-1", "x", "01", "18446744073709551616", ""}) {
    expect_refused({"--seed", seed}, {"--seed", seed, "18446744073709551615"});
  }
}

using FiveSleepersTest = BasicProgram;
INSTANTIATE_TEST_SUITE_P(Styles, FiveSleepersTest,
                         testing::Values("five-sleepers-fibers", "five-sleepers-coroutines"),
                         test_name);

// What a sleeper said before it slept.
struct bedtime {
  int id = 0;
  double seconds = 0;
};

// Three parts: who sleeps for how long, who awakens in which order, the last line.
void expect_that_sleepers_awaken_in_time(const std::string& out) {
  const std::vector<std::string> lines = lines_of(out);
  ASSERT_EQ(lines.size(), 11u) << out;
  std::vector<bedtime> asleep;
  for (int id = 1; id <= 5; ++id) {
    bedtime one;
    const std::string& line = lines[static_cast<std::size_t>(id - 1)];
    ASSERT_EQ(std::sscanf(line.c_str(), "%d sleeps for %lf seconds", &one.id, &one.seconds), 2);
    EXPECT_EQ(one.id, id);
    EXPECT_GT(one.seconds, 0);
    EXPECT_LT(one.seconds, 5);
    asleep.push_back(one);
  }
  std::stable_sort(asleep.begin(), asleep.end(),
                   [](const bedtime& a, const bedtime& b) { return a.seconds < b.seconds; });
  for (std::size_t i = 0; i < asleep.size(); ++i) {
    EXPECT_EQ(lines[5 + i], std::to_string(asleep[i].id) + " awakens") << out;
  }
  EXPECT_EQ(lines.back(), "Done five tasks");
}

TEST_P(FiveSleepersTest, awaken_in_the_order_of_their_times_without_waiting_in_virtual_time) {
  for (int run = 0; run < 20; ++run) {
    expect_that_sleepers_awaken_in_time(output_of({"--virtual-time"}));
  }
}

TEST_P(FiveSleepersTest, repeat_themselves_with_a_seed) {
  const std::string first = output_of({"--virtual-time", "--seed", "12"});

  EXPECT_EQ(output_of({"--virtual-time", "--seed", "12"}), first);
  EXPECT_NE(output_of({"--virtual-time", "--seed", "13"}), first);
}

TEST_P(FiveSleepersTest, really_sleep_without_virtual_time) {
  process program{command()};
  program.wait_for_line("5 sleeps for");

  program.signal(SIGINT);

  EXPECT_EQ(program.wait(), 128 + SIGINT);
  EXPECT_EQ(program.output(stream::out).find("Done"), std::string::npos);
  EXPECT_EQ(program.output(stream::err), "");
}

TEST_P(FiveSleepersTest, refuse_a_seed_that_is_none) {
  expect_refused({"--seed", "soon"}, {"--seed", "soon"});
}

}  // namespace
}  // namespace weft::test
