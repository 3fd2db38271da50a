// Echo, the fourth way: as plain as a thread for each connection, on fibers.
//
// --workers sets how many threads run fibers; each has a listener of its own on the same port, and
// the kernel spreads the connections over them.
#include <cstdio>
#include <system_error>

#include <weft/net.hpp>

#include "../support/weft_server.hpp"

namespace {

using weft::net::endpoint;
using weft::net::listener;
using weft::net::socket;

constexpr const char* program = "echo-fibers";
constexpr std::size_t buffer_bytes = 8192;

void echo(socket& connection) {
  connection.set_no_delay(true);
  while (auto data = connection.read_some_borrowed(buffer_bytes)) connection.write(data);
}

void echo_and_tell(socket& connection, const endpoint& peer) {
  std::printf("Connection from: %s\n", peer.to_string().c_str());
  try {
    echo(connection);
  } catch (const std::system_error&) {
    // The peer has gone; that is its own affair, and ends the connection like any other.
  }
  std::puts("Connection closed");
}

}  // namespace

int main(int argc, char** argv) {
  example::server_options options;
  if (const auto code = example::parse_server_options(
          program, "TCP echo server with a fiber for each connection",
          "threads that run fibers, each with a listener of its own", options, argc, argv)) {
    return *code;
  }
  example::prepare_server_process();
  return example::run_weft_server(program, options, [&](listener& own) {
    if (options.quiet) return weft::net::serve(own, echo);
    weft::net::serve(own, echo_and_tell);
  });
}
