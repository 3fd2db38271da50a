// Echo with a fiber of weft for each connection.
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <system_error>

#include <weft/net.hpp>

#include "support/server_options.hpp"

namespace {

constexpr const char* program = "compare-fibers";
constexpr std::size_t buffer_bytes = 8192;

void echo(weft::net::socket& peer) {
  peer.set_no_delay(true);
  while (auto data = peer.read_some_borrowed(buffer_bytes)) peer.write(data);
}

weft::net::listener listen_and_say_so(const example::server_options& options) {
  const bool v6 = options.host.find(':') != std::string::npos;
  const std::string host = v6 ? "[" + options.host + "]" : options.host;
  const auto address = weft::net::endpoint::parse(host + ":" + std::to_string(options.port));
  weft::net::listener listener{address};
  if (example::print_address(listener.local_endpoint().to_string())) return listener;
  throw std::system_error(errno, std::system_category(), "cannot write to stdout");
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
