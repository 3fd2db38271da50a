// Runs of weft-compare as a process, short enough for a test.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace weft::test {

namespace fs = std::filesystem;
using words = std::vector<std::string>;

inline const fs::path build{WEFT_BIN_DIR};

// A run of the program in `folder`.
inline words tiny(const fs::path& folder, const words& more, const char* rounds = "1",
                  const char* warm_up_rounds = "0") {
  words command{
      folder / "weft-compare", "--rounds",    rounds, "--seconds", "0.2", "--warm-up", "0.05",
      "--warm-up-rounds",      warm_up_rounds};
  command.insert(command.end(), more.begin(), more.end());
  return command;
}

inline const words two_servers{"--only", "callbacks,threads"};

inline words with_two_servers(words more, const char* rounds = "1") {
  more.insert(more.end(), two_servers.begin(), two_servers.end());
  return tiny(build, more, rounds);
}

inline nlohmann::json read_json(const fs::path& file) {
  std::ifstream stream{file};
  return nlohmann::json::parse(stream);
}

inline void expect_line(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << text;
}

}  // namespace weft::test
