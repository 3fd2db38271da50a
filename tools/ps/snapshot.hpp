// The fibers and coroutines of another process.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "process_memory.hpp"

namespace weft::ps {

enum class fiber_state { not_started, ready, runs, waits, ended };

struct fiber_info {
  std::uint64_t id = 0;
  std::uint64_t runtime = 0;
  std::uint32_t worker = 0;
  std::string name;  ///< empty if it has none
  bool is_main = false;
  bool is_coroutine = false;
  fiber_state state = fiber_state::ended;
  std::string wait;            ///< what it waits for, in words; empty if it does not
  double waiting_seconds = 0;  ///< for how long, as of the last poll of its worker
  std::uint64_t spawned_by = 0;
  std::string place;  ///< FILE:LINE where it was spawned
};

/// Reads them while the process runs: each as it was at a moment, not all at the same one. In the
/// order of their ids.
///
/// Errors: throws std::system_error as process_memory::read(), std::runtime_error with what to do
///         if the process does not use weft, or one of another version.
std::vector<fiber_info> read_fibers(const process_memory& memory);

}  // namespace weft::ps
