// Numbers and durations as people read them. Threads: pure functions.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace weft::compare {

/// Returns `number` with a comma at each thousand: `12,345`.
std::string grouped(std::int64_t number);

/// Returns a time to wait, rounded as a person would: `40 s`, `4 min 10 s`, `1 h 5 min`.
std::string duration_text(std::chrono::seconds time);

/// Returns the last line of `text` that is not empty, and nothing of the others.
std::string last_line(const std::string& text);

}  // namespace weft::compare
