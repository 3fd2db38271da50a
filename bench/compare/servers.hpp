// The servers that are compared: the one table that a new column is added to.
#pragma once

#include <string>
#include <vector>

namespace weft::compare {

struct server {
  std::string name;   ///< what a user types, and the name of its program
  std::string style;  ///< in a few words, for the report
};

/// The server that all others are measured against.
inline constexpr const char* baseline_server = "echo-callbacks";

/// Returns all servers, in the order of the report. Each takes `--quiet --port 0`, prints
/// `listening on HOST:PORT`, reads with a buffer of 8192 bytes and sets TCP_NODELAY.
const std::vector<server>& all_servers();

/// Returns their names, separated by commas.
std::string server_names();

/// Returns the server `name`. Throws std::invalid_argument with a line that says what is accepted.
const server& find_server(const std::string& name);

/// Returns the folder of this program, where the other programs of the build are.
std::string program_folder();

/// Tells whether `name` in `folder` is a program that can be started.
bool is_program(const std::string& folder, const std::string& name);

}  // namespace weft::compare
