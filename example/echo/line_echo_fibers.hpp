// The echo of lines on fibers, whatever the address that the server listens on.
//
// Threads: for main() alone.
#pragma once

#include <system_error>

#include <weft/net.hpp>

#include "../support/weft_server.hpp"
#include "line_peer.hpp"

namespace example {

/// Sends every line of a peer back to it, the last one without a newline too. One that is longer
/// than the stream takes ends the connection, with a line on stderr.
inline void echo_lines(const char* program, weft::net::stream& peer) {
  try {
    for (const auto& line : peer.lines()) peer.write(line);
  } catch (const std::system_error& error) {
    report_long_line(program, peer, error);
  }
}

/// Runs the server that `options` describe to its end. Returns the code to exit with.
inline int run_line_server(const char* program, const server_options& options) {
  const auto handle = [&](weft::net::socket& connection, const weft::net::endpoint& from) {
    auto peer = open_line_peer(connection, from, options);
    echo_lines(program, peer);
    close_line_peer(peer, options);
  };
  return run_weft_server(program, options,
                         [&](weft::net::listener& own) { weft::net::serve(own, handle); });
}

}  // namespace example
