// What the suites of all examples share: where the programs are, and how one refuses to go on.
#pragma once

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/process.hpp"

namespace weft::test {

/// Returns the path of a program of the build.
inline std::string program_path(const std::string& name) {
  return std::string{WEFT_BIN_DIR} + "/" + name;
}

/// Expects the end of a program that refused to go on: one line on stderr with all of `words`. The
/// code 2 says that it was called wrongly.
inline void expect_refused(const process_result& result, const std::vector<std::string>& words,
                           int code = 2) {
  EXPECT_EQ(result.exit_code, code);
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.err.find('\n'), result.err.size() - 1) << result.err;
  for (const std::string& word : words) {
    EXPECT_NE(result.err.find(word), std::string::npos) << result.err;
  }
}

}  // namespace weft::test
