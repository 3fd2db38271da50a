// How long weft-model explores a model: until its time is over, and on until that were enough runs.
#include <string>

#include <gtest/gtest.h>

#include "support/process.hpp"

namespace {

constexpr const char* weft_model = WEFT_BIN_DIR "/weft-model";

using weft::test::process;

TEST(Exploration, goes_on_past_its_time_until_there_were_enough_runs) {
  const auto result = process::run({weft_model, "--model", "mutex", "--runs", "100", "--least-runs",
                                    "100", "--seconds", "0.01"});

  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find(" 100 runs"), std::string::npos) << result.out;
}

TEST(Exploration, fails_when_it_cannot_make_enough_runs) {
  const auto result = process::run({weft_model, "--model", "mutex", "--runs", "1000000000",
                                    "--least-runs", "1000000000", "--seconds", "0.01"});

  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.err.find("model mutex made only "), std::string::npos) << result.err;
}

}  // namespace
