// The command line of all programs: which numbers are taken, and what is said of bad arguments.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fcntl.h>
#include <functional>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include <weft/tools/command_line.hpp>

namespace {

// A program with some options, as it is called with arguments.
struct CommandLine : testing::Test {
  CommandLine() {
    command.add_number("--port", port, {0, 65535, "a port"}, "a port");
    command.add_number("--seconds", seconds, {0.05, 3600, "a number of seconds"}, "a time");
    command.add_number("--seed", seed, {0, UINT64_MAX, "a whole number"}, "any number");
    command.add_text("--file", file, "a file")
        .checked(weft::tools::not_empty("the name of a file"), "");
    command.add_flag("--quiet", quiet, "say nothing")
        .excludes(command.add_flag("--loud", loud, "say everything"));
    command.add_list("--names", names, "some names")
        .checked(weft::tools::accepted_by([](const std::string& name) {
                   if (name == "nobody") throw std::invalid_argument("'nobody' is no name");
                 }),
                 "NAME");
    command.add_number("--depth", depth, {1, 9, "a whole number"}, "a depth")
        .from_environment("WEFT_COMMAND_LINE_TEST_DEPTH")
        .shows_default();
    command.set_footer("The end.");
  }

  std::optional<int> parse(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "program");
    std::vector<char*> argv;
    for (std::string& each : arguments) argv.push_back(each.data());
    testing::internal::CaptureStderr();
    const auto code = command.parse(static_cast<int>(argv.size()), argv.data(), finish);
    said = testing::internal::GetCapturedStderr();
    return code;
  }

  void expect_refused(const std::vector<std::string>& arguments, const std::string& part) {
    EXPECT_EQ(parse(arguments), 2) << arguments.back();
    EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
    EXPECT_NE(said.find(part), std::string::npos) << said << "lacks: " << part;
  }

  weft::tools::command_line command{"program", "Does nothing."};
  int port = -1;
  double seconds = -1;
  std::uint64_t seed = 0;
  std::optional<std::string> file;
  bool quiet = false;
  bool loud = false;
  std::vector<std::string> names;
  std::uint32_t depth = 3;
  std::function<void()> finish;
  std::string said;
};

TEST_F(CommandLine, takes_numbers_as_people_write_them) {
  EXPECT_EQ(parse({"--port", "80", "--seconds=1.5", "--seed", "18446744073709551615"}),
            std::nullopt);

  EXPECT_EQ(port, 80);
  EXPECT_EQ(seconds, 1.5);
  EXPECT_EQ(seed, std::numeric_limits<std::uint64_t>::max());
}

TEST_F(CommandLine, takes_both_ends_of_a_range) {
  EXPECT_EQ(parse({"--port", "0", "--seconds", "0.05"}), std::nullopt);
  EXPECT_EQ(port, 0);

  EXPECT_EQ(parse({"--port", "65535", "--seconds", "3600"}), std::nullopt);
  EXPECT_EQ(port, 65535);
}

TEST_F(CommandLine, refuses_every_number_that_is_not_plainly_decimal) {
  for (const char* text : {"010", "00", "0x50", "0X50", "0b1", "+80", "-80", " 80", "80 ", "8 0",
                           "80x", "1e3", "80.0", "", "\t80", "65536", "99999999999999999999"}) {
    expect_refused({std::string("--port=") + text, "--quiet"}, "--port");
    expect_refused({"--port", text}, "--port");
  }
  expect_refused({"--port", "010"}, "'010' is not accepted, expected a port from 0 to 65535 in "
                                    "plain decimal (no leading zero, no sign)");
  for (const char* text : {"nan", "inf", "-0.5", "+1", "01", "0x1p3", "1,5", "1.5s", "0.04"}) {
    expect_refused({"--seconds", text}, "expected a number of seconds from 0.05 to 3600");
  }
}

TEST_F(CommandLine, lists_the_flags_when_one_is_unknown) {
  expect_refused({"--colour"}, "--colour; accepted are --help, --port, --seconds, --seed, --file, "
                               "--quiet, --loud, --names, --depth; see program --help");
  expect_refused({"extra"}, "accepted are --help, --port");
}

TEST_F(CommandLine, refuses_two_that_exclude_each_other) {
  expect_refused({"--quiet", "--loud"}, "excludes");
}

TEST_F(CommandLine, takes_a_list_whose_parts_are_checked_one_by_one) {
  EXPECT_EQ(parse({"--names", "one,two"}), std::nullopt);
  EXPECT_EQ(names, (std::vector<std::string>{"one", "two"}));
  expect_refused({"--names", "one,nobody"}, "'nobody' is no name");
}

TEST_F(CommandLine, takes_from_the_environment_what_is_not_given) {
  ::setenv("WEFT_COMMAND_LINE_TEST_DEPTH", "5", 1);
  EXPECT_EQ(parse({}), std::nullopt);
  EXPECT_EQ(depth, 5u);
  EXPECT_EQ(parse({"--depth", "7"}), std::nullopt);
  EXPECT_EQ(depth, 7u);
  ::unsetenv("WEFT_COMMAND_LINE_TEST_DEPTH");
}

TEST_F(CommandLine, tells_as_any_other_what_is_found_wrong_at_the_end) {
  finish = [] { throw weft::tools::bad_argument("these two\ndo not go together"); };
  expect_refused({"--quiet"}, "program: these two do not go together; see program --help");
}

TEST_F(CommandLine, prints_help_with_defaults_and_the_footer) {
  testing::internal::CaptureStdout();
  EXPECT_EQ(parse({"--help"}), 0);
  const std::string help = testing::internal::GetCapturedStdout();
  for (const char* part :
       {"Does nothing.", "--depth UINT:1..9=3", "--names TEXT:NAME", "The end."}) {
    EXPECT_NE(help.find(part), std::string::npos) << help << "lacks: " << part;
  }
}

TEST_F(CommandLine, refuses_a_flag_with_a_value) {
  for (const char* value : {"7", "0", "false", "true", "maybe", ""}) {
    expect_refused({std::string("--quiet=") + value},
                   "program: --quiet: takes no value; accepted: it "
                   "alone; see program --help");
  }
  expect_refused({"--help=yes"}, "takes no value");
  EXPECT_FALSE(quiet);
}

TEST_F(CommandLine, takes_a_value_that_looks_like_a_flag_with_one) {
  EXPECT_EQ(parse({"--file", "--quiet=7"}), std::nullopt);

  EXPECT_EQ(file, "--quiet=7");
}

TEST_F(CommandLine, refuses_an_option_that_is_given_twice) {
  expect_refused({"--port", "0", "--port=1"}, "program: --port: given twice; accepted: once; see");
  expect_refused({"--file", "a", "--port", "0", "--file", "a"}, "program: --file: given twice");
}

TEST_F(CommandLine, says_in_words_what_is_accepted_where_a_value_is_missing) {
  expect_refused({"--port"},
                 "program: --port: no value is given; expected a port from 0 to 65535 in "
                 "plain decimal (no leading zero, no sign); see program --help");
  expect_refused({"--port=", "80"}, "--port: no value is given; expected a port");
  expect_refused({"--file"}, "--file: no value is given; expected the name of a file; see");
}

TEST_F(CommandLine, fails_when_help_cannot_be_written) {
  const int saved = ::dup(STDOUT_FILENO);
  const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  ::dup2(full, STDOUT_FILENO);

  const auto code = parse({"--help"});
  ::dup2(saved, STDOUT_FILENO);
  ::close(saved);
  ::close(full);

  EXPECT_EQ(code, 1);
  EXPECT_EQ(said, "program: cannot write to stdout: No space left on device\n");
}

TEST_F(CommandLine, refuses_an_empty_name) {
  expect_refused({"--file", ""}, "'' is not accepted, expected the name of a file");
}

}  // namespace
