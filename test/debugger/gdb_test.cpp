// tools/gdb/weft.py: the fibers of a process and of a core, as gdb shows them.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/process.hpp"
#include "support/sanitizers.hpp"
#include "support/scratch_folder.hpp"

namespace weft::test {
namespace {

namespace fs = std::filesystem;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;
using words = std::vector<std::string>;

const std::string debugged = WEFT_BIN_DIR "/debugged";

// Runs gdb, which looks at `subject`, with these commands, and returns all that it prints.
std::string gdb(const words& subject, const words& commands) {
  words line{"gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", "-x", WEFT_GDB_SCRIPT};
  line.insert(line.end(), subject.begin(), subject.end());
  for (const std::string& each : commands) line.insert(line.end(), {"-ex", each});
  const process_result result = process::run(line, std::chrono::seconds{120});
  return result.out + result.err;
}

// A program whose fibers are where they stay.
class Gdb : public testing::Test {
protected:
  void SetUp() override {
    program_.wait_for_line("ready");
    if (look({}).find("Operation not permitted") != std::string::npos) {
      GTEST_SKIP() << "no process may look into another here";
    }
  }

  std::string look(const words& commands) {
    return gdb({"-p", std::to_string(program_.pid())}, commands);
  }

  // The number of the fiber of this name.
  std::string id_of(const std::string& name) {
    const std::string list = look({"info fibers"});
    std::istringstream lines{list};
    for (std::string line; std::getline(lines, line);) {
      if (line.find(" " + name + " ") != std::string::npos) return line.substr(0, line.find(' '));
    }
    ADD_FAILURE() << list;
    return "0";
  }

  process program_{{debugged}};
};

constexpr const char* shop_in_the_list = " 1\\.0 +waits to receive from channel 0x[0-9a-f]+ "
                                         "+[0-9.]+ +shop +[0-9]+, .*debugged\\.cpp:[0-9]+\n";

constexpr const char* calls_of_the_shop =
    "#[0-9]+ .*wait_for_an_order.*\n#[0-9]+ .*keep_the_shop.*\n";

TEST_F(Gdb, lists_the_fibers) {
  const std::string list = look({"info fibers"});

  EXPECT_THAT(list, ContainsRegex("Id +Worker +State +For s +Name +Spawned by, at\n"));
  EXPECT_THAT(list,
              ContainsRegex("\n[0-9]+ +1\\.0 +waits for the end of fiber [0-9]+ +[0-9.]+ +main\n"));
  EXPECT_THAT(list, ContainsRegex(shop_in_the_list));
  EXPECT_THAT(
      list,
      ContainsRegex(
          " 1\\.0 +coroutine waits to receive from channel 0x[0-9a-f]+ +[0-9.]+ +other shop +"));
  EXPECT_THAT(list, ContainsRegex(" 1\\.1 +runs +sum +.*debugged\\.cpp:"));
  EXPECT_THAT(list, ContainsRegex(" 1\\.0 +ended +nothing +.*debugged\\.cpp:"));
}

TEST_F(Gdb, lists_those_that_a_pattern_matches) {
  const std::string list = look({"info fibers sh.p"});

  EXPECT_THAT(list, HasSubstr("  shop  "));
  EXPECT_THAT(list, HasSubstr("  other shop  "));
  EXPECT_THAT(list, Not(HasSubstr("  sum  ")));
}

TEST_F(Gdb, prints_the_calls_of_a_fiber_that_waits) {
  const std::string calls = look({"fiber " + id_of("shop") + " bt"});

  EXPECT_THAT(calls, HasSubstr("\"shop\" (fiber "));
  EXPECT_THAT(calls, ContainsRegex(calls_of_the_shop));
  EXPECT_THAT(calls, Not(HasSubstr("compute_on_and_on")));
}

TEST_F(Gdb, prints_the_calls_of_a_fiber_that_runs) {
  EXPECT_THAT(look({"fiber " + id_of("sum") + " bt"}), ContainsRegex("\n#0 .*compute_on_and_on"));
}

TEST_F(Gdb, prints_where_a_coroutine_awaits) {
  EXPECT_THAT(look({"fiber " + id_of("other shop") + " bt"}),
              ContainsRegex("\n#0 +awaits in .*await_an_order.* at .*debugged\\.cpp:[0-9]+\n"
                            "#1 +awaits in .*keep_the_other_shop.* at .*debugged\\.cpp:[0-9]+\n"));
}

TEST_F(Gdb, prints_the_calls_of_all) {
  const std::string calls = look({"fiber apply all bt"});

  EXPECT_THAT(
      calls,
      ContainsRegex(
          "\"main\" \\(fiber [0-9]+\\) waits for the end of fiber [0-9]+, of worker 1\\.0\n"));
  EXPECT_THAT(calls, ContainsRegex("\n#[0-9]+ .* in main "));
  EXPECT_THAT(calls, ContainsRegex(calls_of_the_shop));
  EXPECT_THAT(calls, ContainsRegex("\n#0 .*compute_on_and_on"));
  EXPECT_THAT(calls, ContainsRegex("\n#1 +awaits in .*keep_the_other_shop"));
}

TEST_F(Gdb, makes_a_fiber_what_other_commands_are_about) {
  const std::string id = id_of("shop");

  const std::string text = look({"fiber " + id, "up", "bt", "fiber off", "echo then\\n", "bt"});

  const std::size_t then = text.find("\nthen\n");
  ASSERT_NE(then, std::string::npos) << text;
  EXPECT_THAT(text.substr(0, then), ContainsRegex(calls_of_the_shop));
  EXPECT_THAT(text.substr(then), Not(HasSubstr("keep_the_shop")));
  EXPECT_THAT(text.substr(then), ContainsRegex("\n#[0-9]+ .* in main "));
}

TEST_F(Gdb, finds_the_fiber_of_an_address) {
  const std::string id = id_of("shop");

  const std::string text = look({"fiber " + id, "fiber find $rsp", "fiber find 1"});

  EXPECT_THAT(text,
              ContainsRegex("lies on the stack of \"shop\" \\(fiber " + id + "\\), [0-9]+ KiB"));
  EXPECT_THAT(text, HasSubstr("0x1 lies on the stack of no fiber"));
}

TEST_F(Gdb, leaves_the_program_as_it_was) {
  const std::string id = id_of("shop");
  look({"fiber apply all bt", "fiber " + id, "bt"});

  program_.signal(SIGTERM);

  EXPECT_EQ(program_.wait(), 0);
  EXPECT_THAT(program_.output(stream::out), HasSubstr("enough"));
}

TEST_F(Gdb, says_in_a_line_what_it_does_not_know) {
  const std::string text =
      look({"fiber 12345", "fiber", "fiber x", "fiber 1 where", "info fibers ("});

  EXPECT_THAT(text, HasSubstr("there is no fiber 12345; `info fibers` lists them"));
  EXPECT_THAT(text, ContainsRegex("usage: fiber ID .*\nusage: fiber ID .*\nusage: fiber ID "));
  EXPECT_THAT(text, HasSubstr("'(' is no regular expression"));
  EXPECT_THAT(text, Not(HasSubstr("Traceback")));
}

// The kernel's; that of `gdb -ex generate-core-file` ends, in each piece of memory, with the first
// guard that takes no mapping.
TEST(GdbOfACore, shows_the_same) {
  if (under_asan || under_tsan) GTEST_SKIP() << "it would be terabytes of shadow";
  std::string pattern;
  std::getline(std::ifstream{"/proc/sys/kernel/core_pattern"}, pattern);
  if (pattern != "core") GTEST_SKIP() << "cores go elsewhere: kernel.core_pattern is " << pattern;
  const scratch_folder folder;
  const std::string in_folder = "cd " + folder.path().string() + "; ulimit -c unlimited; exec ";
  process program{{"/bin/sh", "-c", in_folder + debugged}};
  program.wait_for_line("ready");
  program.signal(SIGABRT);
  ASSERT_EQ(program.wait(), 128 + SIGABRT);
  const fs::path core = fs::directory_iterator {
    folder.path()
  } -> path();  // with its pid, perhaps

  const std::string text = gdb({debugged, core}, {"info fibers", "fiber apply all bt"});

  EXPECT_THAT(text, ContainsRegex(shop_in_the_list));
  EXPECT_THAT(text, ContainsRegex(calls_of_the_shop));
  EXPECT_THAT(text, ContainsRegex("\n#0 .*compute_on_and_on"));
  EXPECT_THAT(text, ContainsRegex("\n#1 +awaits in .*keep_the_other_shop"));
}

TEST(GdbWithoutFibers, says_why_there_are_none) {
  EXPECT_THAT(gdb({"/bin/true"}, {"info fibers"}), HasSubstr("no symbol weft_registry"));
  EXPECT_THAT(gdb({debugged}, {"info fibers"}), HasSubstr("No fibers."));
}

}  // namespace
}  // namespace weft::test
