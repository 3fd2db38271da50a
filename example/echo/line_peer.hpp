// One connection of a server that echoes lines on weft, and what is said about it, whether a fiber
// or a coroutine serves it.
//
// Threads: the fiber or coroutine that serves the connection.
#pragma once

#include <cstdio>
#include <system_error>
#include <utility>

#include <weft/net.hpp>

#include "../support/server_options.hpp"

namespace example {

/// Takes `connection` over, and says from where it is.
inline weft::net::stream open_line_peer(weft::net::socket& connection,
                                        const weft::net::endpoint& from,
                                        const server_options& options) {
  weft::net::stream peer{std::move(connection), from};
  std::error_code not_tcp;  // a UNIX socket has no such option
  peer.socket().set_no_delay(true, not_tcp);
  if (!options.quiet) std::printf("Connection from: %s\n", from.to_string().c_str());
  return peer;
}

/// Says on stderr what `error` ends the connection for: a line that is longer than the stream
/// takes. Anything else says that the peer has gone, which is its own affair.
inline void report_long_line(const char* program, const weft::net::stream& peer,
                             const std::system_error& error) {
  if (error.code() != std::errc::message_size) return;
  std::fprintf(stderr, "%s: the connection from %s is closed: a line of more than %zu bytes\n",
               program, peer.remote_endpoint().to_string().c_str(),
               weft::net::stream_options{}.max_line);
}

/// Closes the connection, and says so.
inline void close_line_peer(weft::net::stream& peer, const server_options& options) {
  peer.close();
  if (!options.quiet) std::puts("Connection closed");
}

}  // namespace example
