// Starts the client processes, keeps them in step, and collects what they counted.
//
// The fork comes before anything else is made, so each client has an epoll descriptor of its own.
// All connect first; when all are connected they start at the same moment. Ctrl-C and SIGTERM end
// the run early, a second one at once. A client never outlives the parent.
//
// Threads: the only thread of the parent process; must be called once, before other threads exist.
#pragma once

#include <string>

#include "options.hpp"
#include "tally.hpp"

namespace weft::load {

struct run_result {
  std::string failure;  ///< one line, when the run could not be made; then nothing below counts
  int stopped_by = 0;   ///< SIGINT or SIGTERM, when that ended the run
  bool all_connected = false;
  tally total;
};

/// Makes the run. Writes `holding N connections` to stderr once all are open in idle mode, and
/// a progress line there while it is a terminal.
run_result conduct(const options& settings);

}  // namespace weft::load
