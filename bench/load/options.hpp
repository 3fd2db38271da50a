// What a run of weft-load is asked to do.
//
// Threads: a plain value, not changed once parsed.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <sys/types.h>

#include "target.hpp"

namespace weft::load {

enum class load_mode {
  closed,  ///< every connection keeps `depth` messages in flight
  open,    ///< messages start at fixed times, whatever the server does
  churn,   ///< connect, one exchange, close, again and again
  idle     ///< one exchange on each connection, then silence
};

/// Returns the mode's name as the report has it: closed, open, churn or idle.
const char* name_of(load_mode mode) noexcept;

struct options {
  target where;
  load_mode mode = load_mode::closed;
  std::uint32_t connections = 64;
  std::uint32_t message_bytes = 64;
  std::uint32_t depth = 1;
  std::chrono::nanoseconds duration = std::chrono::seconds(5);
  std::chrono::nanoseconds warm_up = std::chrono::seconds(1);
  double rate = 0;  ///< messages per second over all connections; open loop only
  std::uint32_t clients = 1;
  pid_t server_pid = 0;  ///< of the server whose CPU time is measured too; 0 for none
  bool json = false;
};

/// Parses the arguments. Returns nothing when the run may go on, otherwise the code to exit with:
/// 0 after --help, 2 after a line on stderr that says what was wrong and what is accepted.
std::optional<int> parse_options(int argc, char** argv, options& settings);

}  // namespace weft::load
