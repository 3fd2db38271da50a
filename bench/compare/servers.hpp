// The servers that are compared: the one table that a new column is added to.
#pragma once

#include <string>
#include <vector>

#include "cases.hpp"

namespace weft::compare {

/// One column of the comparison. Its server is the program echo-NAME, or compare-NAME where
/// echo-NAME is an example: it takes `--quiet --port 0`, prints `listening on HOST:PORT`, serves on
/// one thread (but for the columns of threads), sets TCP_NODELAY, reads with a buffer of 8192
/// bytes, and ends on SIGTERM with code 0.
struct server {
  std::string name;      ///< what a user types
  std::string style;     ///< in a few words, for the report
  std::string waits_by;  ///< the system calls
  std::string buffer;    ///< where the 8,192 bytes lie that it reads into
  std::string stack;     ///< of a connection
  std::string options;   ///< of its sockets
  std::string package;   ///< of Debian, which only the peers of `./dev run --peers` need; or empty
  bool has_tasks;        ///< there is a program tasks-NAME, which measures tasks without sockets
  std::vector<std::string> sources;      ///< that the server consists of, beside options and start
  std::vector<std::string> shared = {};  ///< with other servers: listening, accepting; not counted
};

/// The column that all servers are measured against, and the one that all tasks are.
inline constexpr const char* baseline_server = "callbacks";
inline constexpr const char* baseline_tasks = "fibers";

/// Returns the name of the column that `load` is measured against.
const char* baseline_of(const load_case& load);

/// Returns all servers, in the order of the report.
const std::vector<server>& all_servers();

/// Returns their names, separated by commas.
std::string server_names();

/// Returns the server `name`. Throws std::invalid_argument with a line that says what is accepted.
const server& find_server(const std::string& name);

/// Returns the name of the program of `what` that is put through `load`; empty when there is none:
/// callbacks have no tasks.
std::string program_of(const server& what, const load_case& load);

/// Returns the folder of this program, where the other programs of the build are.
std::string program_folder();

/// Tells whether `name` in `folder` is a program that can be started.
bool is_program(const std::string& folder, const std::string& name);

}  // namespace weft::compare
