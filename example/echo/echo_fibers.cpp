// Echo, the fourth way: as plain as a thread for each connection, on fibers.
//
// --workers sets how many threads run fibers; each has a listener of its own on the same port, and
// the kernel spreads the connections over them.
#include <cstdio>
#include <cstdlib>
#include <list>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include <weft/net.hpp>

#include "../support/server_options.hpp"

namespace {

using weft::net::endpoint;
using weft::net::listener;
using weft::net::socket;

constexpr const char* program = "echo-fibers";
constexpr std::size_t buffer_bytes = 8192;

void echo(socket& peer) {
  peer.set_no_delay(true);
  while (auto data = peer.read_some_borrowed(buffer_bytes)) peer.write(data);
}

void echo_and_tell(socket& peer) {
  std::error_code gone;
  const endpoint from = peer.remote_endpoint(gone);
  std::printf("Connection from: %s\n", gone ? "a peer that has gone" : from.to_string().c_str());
  try {
    echo(peer);
  } catch (const std::system_error&) {
    // The peer has gone; that is its own affair, and ends the connection like any other.
  }
  std::puts("Connection closed");
}

void serve(listener& listener, bool quiet) {
  weft::net::serve(listener, quiet ? echo : echo_and_tell);
}

endpoint address_of(const example::server_options& options) {
  const bool v6 = options.host.find(':') != std::string::npos;
  const std::string host = v6 ? "[" + options.host + "]" : options.host;
  return endpoint::parse(host + ":" + std::to_string(options.port));
}

// A thread beside the one of main that runs fibers and serves a listener of its own.
class worker {
public:
  worker(listener own, bool quiet)
      : listener_(std::move(own)),
        thread_([this, quiet] { runtime_.run([&] { serve(listener_, quiet); }); }) {}

  worker(const worker&) = delete;
  worker& operator=(const worker&) = delete;

  ~worker() { thread_.join(); }

  void request_stop() noexcept { runtime_.request_stop(); }

private:
  weft::runtime runtime_;
  listener listener_;
  std::thread thread_;
};

void run_server(const example::server_options& options) {
  const weft::net::listen_options sharing{.reuse_port = options.workers > 1};
  // Listeners that share a port would also share it with another server: refused here, as without.
  if (sharing.reuse_port) listener{address_of(options)}.close();
  listener first{address_of(options), sharing};
  std::list<worker> others;
  for (unsigned i = 1; i < options.workers; ++i) {
    others.emplace_back(listener{first.local_endpoint(), sharing}, options.quiet);
  }
  std::printf("listening on %s\n", first.local_endpoint().to_string().c_str());

  auto server = weft::spawn([&] { serve(first, options.quiet); });
  std::error_code stopped;
  server.join(stopped);  // until a signal cancels this fiber, or the server fails
  for (worker& each : others) each.request_stop();
  if (server.done()) server.result();
  server.request_cancel();
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
  try {
    weft::run([&] { run_server(options); });
  } catch (const std::system_error& error) {
    std::fprintf(stderr, "%s: %s\n", program, error.what());
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}
