// How a server that echoes lines on a UNIX socket starts, whatever serves the connections.
//
// A socket file that was left over by a server that is gone is replaced; where one is listening,
// this one ends with an error. Threads: for main() alone.
#pragma once

#include <string>
#include <utility>

#include "../support/server_options.hpp"

namespace example {

/// Parses the command line of `program`, which has `one_each`, "a fiber" for example, for each
/// connection, and calls `run(options)` once the process is ready to serve. Returns the code to
/// exit with.
template <class Run>
int run_unix_line_server(const char* program, const std::string& one_each,
                         const std::string& workers_help, int argc, char** argv, Run&& run) {
  server_options options;
  if (const auto code =
          parse_unix_server_options(program,
                                    "server on a UNIX socket that sends every line back, with " +
                                        one_each + " for each connection",
                                    workers_help, options, argc, argv)) {
    return *code;
  }
  prepare_server_process();
  return std::forward<Run>(run)(std::as_const(options));
}

}  // namespace example
