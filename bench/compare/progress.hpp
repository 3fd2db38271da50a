// The line on a terminal that shows how far a run is and how long it still takes.
//
// Threads: one owner.
#pragma once

#include <chrono>
#include <cstdint>

#include "cases.hpp"
#include "servers.hpp"

namespace weft::compare {

class progress_line {
public:
  /// Shows nothing at all unless stderr is a terminal.
  progress_line(std::uint32_t rounds, std::chrono::duration<double> expected);

  /// Redraws the line, with what is measured now; `round` 0 is the warm-up.
  void show(std::uint32_t round, const load_case& load, const server& what);

  /// Notes that a sample is done, which was expected to take `expected`.
  void add(std::chrono::duration<double> expected);

  /// Wipes the line away, so that ordinary output may follow.
  void clear();

private:
  std::chrono::seconds left() const;

  const bool active_;
  const std::uint32_t rounds_;
  const std::chrono::duration<double> all_;  // that was expected in the beginning
  const std::chrono::steady_clock::time_point begin_;
  std::chrono::duration<double> done_{};  // of `all_`
  bool shown_ = false;
};

}  // namespace weft::compare
