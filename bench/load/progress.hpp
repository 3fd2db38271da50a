// The line on a terminal that shows how far a run is.
//
// Threads: one owner, the parent process.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "event_queue.hpp"
#include "options.hpp"

namespace weft::load {

class progress_line {
public:
  /// Shows nothing at all unless stderr is a terminal.
  explicit progress_line(const options& settings);

  bool active() const noexcept { return active_; }

  /// Redraws the line. `start` is when the warm-up began, nothing while connections are made.
  void show(std::uint64_t connections, std::uint64_t messages, std::optional<time_point> start);

  /// Wipes the line away, so that ordinary output may follow.
  void clear();

private:
  std::string describe(std::uint64_t connections, std::uint64_t messages,
                       std::optional<time_point> start);

  const options& settings_;
  const bool active_;
  bool shown_ = false;
  std::uint64_t last_messages_ = 0;
  time_point last_time_{};
};

}  // namespace weft::load
