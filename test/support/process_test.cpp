// The process class itself, with programs that every Debian has.
#include <chrono>
#include <csignal>
#include <stdexcept>
#include <string>
#include <system_error>

#include <gtest/gtest.h>

#include "support/process.hpp"

namespace {

using namespace std::chrono_literals;
using weft::test::process;
using weft::test::process_result;
using weft::test::stream;

TEST(Process, a_run_gives_both_outputs_and_the_exit_code) {
  const process_result run = process::run({"sh", "-c", "echo out; echo err >&2; exit 7"});

  EXPECT_EQ(run.exit_code, 7);
  EXPECT_EQ(run.out, "out\n");
  EXPECT_EQ(run.err, "err\n");
}

TEST(Process, a_program_that_does_not_exist_is_an_error) {
  try {
    process program({"/nowhere/at/all"});
    FAIL() << "it was started";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::no_such_file_or_directory);
  }
}

TEST(Process, lines_are_found_in_order) {
  process program({"sh", "-c", "echo a 1; echo b 2; echo a 3; echo listening on 127.0.0.1:4711"});

  EXPECT_EQ(program.wait_for_line("a"), "a 1");
  EXPECT_EQ(program.wait_for_match("a ([0-9])")[1], "3");
  EXPECT_EQ(program.wait_for_port(), 4711);
  EXPECT_EQ(program.wait(), 0);
}

TEST(Process, an_output_that_ends_without_the_line_fails_with_all_that_was_printed) {
  process program({"sh", "-c", "echo seen; printf unfinished"});
  try {
    program.wait_for_line("never printed");
    FAIL() << "it was found";
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string(error.what()).find("seen\nunfinished"), std::string::npos);
  }
}

TEST(Process, the_last_line_needs_no_line_end) {
  process program({"printf", "unfinished"});

  EXPECT_EQ(program.wait_for_line("finish"), "unfinished");
}

TEST(Process, a_signal_ends_it_with_128_and_its_number) {
  process program({"sleep", "600"});

  program.signal(SIGTERM);

  EXPECT_EQ(program.wait(), 128 + SIGTERM);
  EXPECT_EQ(program.wait(), 128 + SIGTERM);
}

TEST(Process, the_watchdog_kills_a_program_that_hangs) {
  process program({"sleep", "600"});

  EXPECT_THROW(program.wait(0s), std::runtime_error);
  EXPECT_EQ(program.wait(), 128 + SIGKILL);
}

TEST(Process, its_end_of_life_kills_and_reaps_it) {
  pid_t pid = 0;
  {
    process program({"sleep", "600"});
    pid = program.pid();
  }

  EXPECT_EQ(::kill(pid, 0), -1);
}

TEST(Process, much_output_does_not_stall_it) {
  process program({"sh", "-c", "head -c 1000000 /dev/zero; echo end >&2"});

  program.wait_for_line("end", stream::err);

  EXPECT_EQ(program.wait(), 0);
  EXPECT_EQ(program.output(stream::out).size(), 1'000'000u);
}

}  // namespace
