// weft-ps: the fibers of a running process, as a table, a tree and JSON.
#include <algorithm>
#include <csignal>
#include <filesystem>
#include <string>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/process.hpp"

namespace weft::test {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using words = std::vector<std::string>;

const std::string debugged = WEFT_BIN_DIR "/debugged";

process_result ps(words arguments) {
  arguments.insert(arguments.begin(), WEFT_BIN_DIR "/weft-ps");
  return process::run(arguments);
}

class Ps : public testing::Test {
protected:
  void SetUp() override {
    program_.wait_for_line("ready");
    if (ps({pid()}).err.find("may not be read") != std::string::npos) {
      GTEST_SKIP() << "no process may look into another here";
    }
  }

  std::string pid() const { return std::to_string(program_.pid()); }

  process program_{{debugged}};
};

constexpr const char* shop =
    "\n[0-9]+ +1\\.0 +fiber +waits to receive from channel 0x[0-9a-f]+ +[0-9]+\\.[0-9] +shop +"
    "[0-9]+, [^\n]*debugged\\.cpp:[0-9]+\n";

TEST_F(Ps, prints_a_line_for_each_fiber) {
  const process_result result = ps({pid()});

  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, ContainsRegex("^ID +WORKER +KIND +STATE +FOR s +NAME +SPAWNED BY, AT\n"));
  EXPECT_THAT(result.out, ContainsRegex(shop));
  EXPECT_THAT(result.out, ContainsRegex(" 1\\.0 +main +waits for the end of fiber [0-9]+ "));
  EXPECT_THAT(result.out, ContainsRegex(" coroutine +waits to receive from .* other shop "));
  EXPECT_THAT(result.out, ContainsRegex(" 1\\.1 +fiber +runs +sum "));
  EXPECT_THAT(result.out, ContainsRegex(" fiber +ended +nothing "));
}

TEST_F(Ps, prints_who_has_spawned_whom) {
  const process_result result = ps({"--tree", pid()});

  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, ContainsRegex("\n[0-9]+ +1\\.0 +main [^\n]*\n"
                                        "  [0-9]+ +1\\.0 +fiber +waits to receive [^\n]* shop "));
}

TEST_F(Ps, prints_json) {
  const process_result result = ps({pid(), "--json"});

  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto all = nlohmann::json::parse(result.out);
  const auto named = [&](const std::string& name) {
    const auto found =
        std::ranges::find_if(all, [&](const auto& each) { return each["name"] == name; });
    return found != all.end() ? *found : nlohmann::json{};
  };
  const auto found = named("shop");
  EXPECT_EQ(found["kind"], "fiber");
  EXPECT_EQ(found["state"], "waits");
  EXPECT_THAT(found["waits_for"].get<std::string>(), HasSubstr("waits to receive from channel 0x"));
  EXPECT_GE(found["waiting_seconds"].get<double>(), 0);
  EXPECT_EQ(found["runtime"], 1);
  EXPECT_EQ(found["worker"], 0);
  EXPECT_EQ(found["spawned_by"], named("nothing")["spawned_by"]);
  EXPECT_THAT(found["spawned_at"].get<std::string>(), HasSubstr("debugged.cpp:"));
  EXPECT_EQ(named("sum")["worker"], 1);
  EXPECT_FALSE(named("sum").contains("waits_for"));
}

TEST_F(Ps, leaves_the_program_as_it_was) {
  ps({pid()});

  program_.signal(SIGTERM);

  EXPECT_EQ(program_.wait(), 0);
  EXPECT_THAT(program_.output(stream::out), HasSubstr("enough"));
}

TEST_F(Ps, finds_the_program_when_its_file_has_been_removed) {
  const std::filesystem::path copy = debugged + "_" + std::to_string(::getpid());
  std::filesystem::copy_file(debugged, copy, std::filesystem::copy_options::overwrite_existing);
  process other{{copy}};
  other.wait_for_line("ready");
  std::filesystem::remove(copy);

  const process_result result = ps({std::to_string(other.pid())});

  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, ContainsRegex(shop));
}

TEST_F(Ps, reads_what_comes_and_goes_meanwhile) {
  process crowd{{debugged, "come and go"}};
  crowd.wait_for_line("ready");

  for (int i = 0; i < 20; ++i) {
    const process_result result = ps({std::to_string(crowd.pid())});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_THAT(result.out, ContainsRegex("\n[0-9]+ +1\\.0 +main "));
  }
  crowd.signal(SIGTERM);
  EXPECT_EQ(crowd.wait(), 0);
}

TEST_F(Ps, says_in_a_line_what_is_wrong) {
  const auto expect_refused = [](const words& arguments, int code, const std::string& why) {
    const process_result result = ps(arguments);
    EXPECT_EQ(result.exit_code, code);
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, HasSubstr(why));
    EXPECT_EQ(std::ranges::count(result.err, '\n'), 1) << result.err;
  };
  expect_refused({}, 2, "which process?");
  expect_refused({"abc"}, 2, "PID: 'abc' is not accepted");
  expect_refused({"--json", "--tree", pid()}, 2, "--tree");
  expect_refused({"2147483647"}, 1, "there is no process 2147483647");
  expect_refused({std::to_string(::getpid())}, 1, "has no symbol weft_registry");
}

}  // namespace
}  // namespace weft::test
