// Echo in coroutines of Boost.Asio, on one thread that takes no locks.
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include <boost/asio.hpp>

#include "support/server_options.hpp"

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr const char* program = "echo-asio";
constexpr std::size_t buffer_bytes = 8192;

asio::awaitable<void> echo(tcp::socket peer) {
  boost::system::error_code error;
  auto waiting = asio::redirect_error(asio::use_awaitable, error);
  peer.set_option(tcp::no_delay{true}, error);
  std::array<char, buffer_bytes> buffer;
  while (!error) {
    const std::size_t size = co_await peer.async_read_some(asio::buffer(buffer), waiting);
    if (!error) co_await asio::async_write(peer, asio::buffer(buffer.data(), size), waiting);
  }
}

asio::awaitable<void> serve(tcp::acceptor& acceptor) {
  for (;;) {
    boost::system::error_code error;
    tcp::socket peer =
        co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
    if (!error) {
      asio::co_spawn(acceptor.get_executor(), echo(std::move(peer)), asio::detached);
    } else if (error != asio::error::connection_aborted) {
      std::fprintf(stderr, "%s: cannot accept: %s\n", program, error.message().c_str());
      std::exit(EXIT_FAILURE);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  example::server_options options;
  if (const auto code = example::parse_single_threaded_options(
          program, "TCP echo server in coroutines of Boost.Asio", options, argc, argv)) {
    return *code;
  }
  example::prepare_server_process();
  try {
    asio::io_context context{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE};
    tcp::acceptor acceptor{context, {asio::ip::make_address(options.host), options.port}};
    asio::signal_set signals{context, SIGINT, SIGTERM};
    signals.async_wait([&](auto...) { context.stop(); });
    asio::co_spawn(context, serve(acceptor), asio::detached);
    const std::string host =
        options.host.find(':') == std::string::npos ? options.host : "[" + options.host + "]";
    if (!example::print_address(host + ":" + std::to_string(acceptor.local_endpoint().port()))) {
      return EXIT_FAILURE;
    }
    context.run();
  } catch (const boost::system::system_error& error) {
    std::fprintf(stderr, "%s: cannot listen: %s\n", program, error.what());
    return EXIT_FAILURE;
  }
}
