// Echo with a coroutine of weft for each connection.
#include <cstdio>
#include <cstdlib>
#include <exception>

#include <weft/co.hpp>
#include <weft/net.hpp>

#include "weft_start.hpp"

namespace {

constexpr const char* program = "compare-coroutines";
constexpr std::size_t buffer_bytes = 8192;

weft::co::task<> echo(weft::net::socket& peer) {
  peer.set_no_delay(true);
  while (auto data = co_await peer.co_read_some_borrowed(buffer_bytes)) {
    co_await peer.co_write(data);
  }
}

}  // namespace

int main(int argc, char** argv) {
  example::server_options options;
  if (const auto code = example::parse_single_threaded_options(
          program, "TCP echo server with a coroutine of weft for each connection", options, argc,
          argv)) {
    return *code;
  }
  example::prepare_server_process();
  try {
    weft::run([&] {
      weft::net::listener listener = listen_and_say_so(options);
      weft::co::block_on(weft::net::co_serve(listener, echo));
    });
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", program, error.what());
    return EXIT_FAILURE;
  }
}
