// Echo with a fiber of weft for each connection.
#include <cstdio>
#include <cstdlib>
#include <exception>

#include <weft/net.hpp>

#include "weft_start.hpp"

namespace {

constexpr const char* program = "compare-fibers";
constexpr std::size_t buffer_bytes = 8192;

void echo(weft::net::socket& peer) {
  peer.set_no_delay(true);
  while (auto data = peer.read_some_borrowed(buffer_bytes)) peer.write(data);
}

}  // namespace

int main(int argc, char** argv) {
  example::server_options options;
  if (const auto code = example::parse_single_threaded_options(
          program, "TCP echo server with a fiber of weft for each connection", options, argc,
          argv)) {
    return *code;
  }
  example::prepare_server_process();
  try {
    weft::run([&] {
      weft::net::listener listener = listen_and_say_so(options);
      weft::net::serve(listener, echo);
    });
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", program, error.what());
    return EXIT_FAILURE;
  }
}
