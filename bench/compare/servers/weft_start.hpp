// How the two servers on weft begin to listen.
#pragma once

#include <cerrno>
#include <string>
#include <system_error>

#include <weft/net.hpp>

#include "support/server_options.hpp"

/// Returns a listener at the address of `options`, and prints `listening on HOST:PORT`. Throws
/// std::system_error when either fails.
inline weft::net::listener listen_and_say_so(const example::server_options& options) {
  using weft::net::endpoint;
  const bool v6 = options.host.find(':') != std::string::npos;
  const std::string host = v6 ? "[" + options.host + "]" : options.host;
  weft::net::listener listener{endpoint::parse(host + ":" + std::to_string(options.port))};
  if (example::print_address(listener.local_endpoint().to_string())) return listener;
  throw std::system_error(errno, std::system_category(), "cannot write to stdout");
}
