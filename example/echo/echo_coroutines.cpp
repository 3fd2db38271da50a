// Echo in coroutines: that on fibers with co_await where it waits, and there it holds no stack.
//
// --workers sets how many threads run coroutines; each has a listener of its own on the same port,
// and the kernel spreads the connections over them.
#include <cstdio>
#include <system_error>

#include <weft/co.hpp>
#include <weft/net.hpp>

#include "../support/weft_server.hpp"

namespace {

using weft::net::endpoint;
using weft::net::listener;
using weft::net::socket;

constexpr const char* program = "echo-coroutines";
constexpr std::size_t buffer_bytes = 8192;

weft::co::task<> echo(socket& connection) {
  connection.set_no_delay(true);
  while (auto data = co_await connection.co_read_some_borrowed(buffer_bytes)) {
    co_await connection.co_write(data);
  }
}

weft::co::task<> echo_and_tell(socket& connection, const endpoint& peer) {
  std::printf("Connection from: %s\n", peer.to_string().c_str());
  try {
    co_await echo(connection);
  } catch (const std::system_error&) {
    // The peer has gone; that is its own affair, and ends the connection like any other.
  }
  std::puts("Connection closed");
}

}  // namespace

int main(int argc, char** argv) {
  example::server_options options;
  if (const auto code = example::parse_server_options(
          program, "TCP echo server with a coroutine for each connection",
          "threads that run coroutines, each with a listener of its own", options, argc, argv)) {
    return *code;
  }
  example::prepare_server_process();
  return example::run_weft_server(program, options, [&](listener& own) {
    if (options.quiet) return weft::co::block_on(weft::net::co_serve(own, echo));
    weft::co::block_on(weft::net::co_serve(own, echo_and_tell));
  });
}
