// Tools that follow every stack: valgrind knows those of fibers, and ThreadSanitizer their names.
#include <chrono>
#include <string>
#include <system_error>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/process.hpp"
#include "support/sanitizers.hpp"

namespace weft::test {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;
using words = std::vector<std::string>;

const std::string checked = WEFT_BIN_DIR "/checked";
constexpr std::chrono::seconds patience{240};

bool is_installed(const std::string& program) {
  try {
    return process::run({program, "--version"}).exit_code == 0;
  } catch (const std::system_error&) {
    return false;
  }
}

class Valgrind : public testing::Test {
protected:
  void SetUp() override {
    if (under_asan || under_tsan) GTEST_SKIP() << "sanitizers and valgrind exclude each other";
    if (!is_installed("valgrind")) GTEST_SKIP() << "valgrind is not installed";
#if !__has_include(<valgrind/valgrind.h>)
    GTEST_SKIP() << "built without the header of valgrind";
#endif
  }

  static process_result memcheck(const words& arguments) {
    words line{"valgrind", "--error-exitcode=99", "--leak-check=full",
               "--errors-for-leak-kinds=definite", checked};
    line.insert(line.end(), arguments.begin(), arguments.end());
    return process::run(line, patience);
  }
};

TEST_F(Valgrind, finds_nothing_wrong_with_fibers_that_switch_throw_and_go) {
  const process_result result = memcheck({});

  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, "done\n");
  EXPECT_THAT(result.err, HasSubstr("ERROR SUMMARY: 0 errors"));
  EXPECT_THAT(result.err, Not(HasSubstr("Warning: ")));
}

TEST_F(Valgrind, shows_the_calls_of_the_fiber_that_reads_freed_memory) {
  const process_result result = memcheck({"use-after-free"});

  EXPECT_EQ(result.exit_code, 99) << result.err;
  EXPECT_THAT(result.err, ContainsRegex("Invalid read of size 4\n[^\n]*read_what_is_gone"));
  EXPECT_THAT(result.err, HasSubstr("ERROR SUMMARY: 1 errors from 1 contexts"));
  EXPECT_THAT(result.err, Not(HasSubstr("Warning: ")));
}

TEST(ThreadSanitizer, calls_stacks_by_the_names_of_their_fibers) {
  if (!under_tsan) GTEST_SKIP() << "this is a build without ThreadSanitizer";

  const process_result result = process::run({checked, "race"}, patience);

  EXPECT_EQ(result.exit_code, 66) << result.err;
  EXPECT_THAT(result.err, HasSubstr("data race"));
  EXPECT_THAT(result.err, HasSubstr("'first racer'"));
  EXPECT_THAT(result.err, HasSubstr("'second racer'"));
}

TEST(ThreadSanitizer, finds_nothing_wrong_with_fibers_that_switch_throw_and_go) {
  if (!under_tsan) GTEST_SKIP() << "this is a build without ThreadSanitizer";

  const process_result result = process::run({checked}, patience);

  EXPECT_EQ(result.exit_code, 0) << result.err;
}

}  // namespace
}  // namespace weft::test
