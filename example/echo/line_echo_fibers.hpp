// The echo of lines on fibers, whatever the address that the server listens on.
//
// Threads: for main() alone.
#pragma once

#include <cstdio>
#include <system_error>
#include <utility>

#include <weft/net.hpp>

#include "../support/fiber_server.hpp"

namespace example {

/// Sends every line of a peer back to it, the last one without a newline too. One that is longer
/// than the stream takes ends the connection, with a line on stderr.
inline void echo_lines(const char* program, weft::net::stream& peer) {
  try {
    for (const auto& line : peer.lines()) peer.write(line);
  } catch (const std::system_error& error) {
    // Anything else says that the peer has gone, which is its own affair.
    if (error.code() != std::errc::message_size) return;
    std::fprintf(stderr, "%s: the connection from %s is closed: a line of more than %zu bytes\n",
                 program, peer.remote_endpoint().to_string().c_str(),
                 weft::net::stream_options{}.max_line);
  }
}

/// Runs the server that `options` describe to its end. Returns the code to exit with.
inline int run_line_server(const char* program, const server_options& options) {
  using weft::net::endpoint;
  using weft::net::socket;
  using weft::net::stream;

  const auto handle = [&](socket& connection, const endpoint& from) {
    stream peer{std::move(connection), from};
    std::error_code not_tcp;  // a UNIX socket has no such option
    peer.socket().set_no_delay(true, not_tcp);
    if (!options.quiet) {
      std::printf("Connection from: %s\n", peer.remote_endpoint().to_string().c_str());
    }
    echo_lines(program, peer);
    peer.close();
    if (!options.quiet) std::puts("Connection closed");
  };
  return run_fiber_server(program, options,
                          [&](weft::net::listener& own) { weft::net::serve(own, handle); });
}

}  // namespace example
