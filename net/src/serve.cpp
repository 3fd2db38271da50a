#include <string>
#include <utility>

#include <weft/fiber/clock.hpp>
#include <weft/fiber/detail/fiber_group.hpp>
#include <weft/fiber/diagnostics.hpp>
#include <weft/fiber/error.hpp>
#include <weft/fiber/this_fiber.hpp>
#include <weft/net/serve.hpp>

#include "native_socket.hpp"

namespace weft::net {
namespace {

bool is_everyday(const std::error_code& ec) noexcept {
  return ec == errc::eof || ec == errc::cancelled || ec == errc::closed ||
         ec == std::errc::connection_reset || ec == std::errc::broken_pipe ||
         ec == std::errc::connection_aborted || ec == std::errc::not_connected ||
         ec == std::errc::timed_out;
}

void report(const std::string& which, const char* what) {
  diagnose(which + " ended by an exception: " + what);
}

// Calls the handler; what it throws ends its connection and nothing else. `name()` says which that
// was.
template <class Call, class Name>
void handle(Call&& call, Name&& name) {
  try {
    call();
  } catch (const std::system_error& error) {
    if (!is_everyday(error.code())) report(name(), error.what());
  } catch (const std::exception& error) {
    report(name(), error.what());
  }
}

std::string name_of(const socket& connection) {
  std::error_code ec;
  const endpoint peer = connection.remote_endpoint(ec);
  return ec ? "a connection" : "the connection from " + peer.to_string();
}

// What a server does when no fiber is to be had for a connection, which is closed.
class spawn_trouble {
public:
  // Says so, unless that was said a moment ago, and waits a little for fibers to end and to give
  // their stacks back.
  void pause(std::error_code reason, std::error_code& ec) {
    const auto now = weft::clock::now();
    if (now >= silent_until_) {
      std::string line = "serve: no fiber for a connection: " + reason.message();
      if (reason == std::errc::not_enough_memory) line += weft::detail::how_to_get_stacks;
      diagnose(line);
      silent_until_ = now + std::chrono::seconds{10};
    }
    this_fiber::sleep_for(std::chrono::milliseconds{100}, ec);
  }

private:
  weft::detail::deadline_clock::time_point silent_until_{};
};

// Of options.stack_size; any other spawn error is one of memory.
bool will_not_pass(const std::error_code& spawn_error) noexcept {
  return spawn_error == std::errc::invalid_argument;
}

// Accepts with `accept(ec)`, whose result is what `run` is to be called with on a fiber.
template <class Accept, class Run>
void serve_with(listener& listener, const serve_options& options, Accept&& accept, Run&& run) {
  weft::detail::fiber_group connections;
  const spawn_options spawning{.stack_size = options.stack_size};
  spawn_trouble trouble;
  std::error_code ec;
  std::error_code spawn_error;
  while (!ec) {
    auto accepted = accept(ec);
    if (ec) break;
    connections.spawn(
        spawning, [accepted = std::move(accepted), &run]() mutable { run(accepted); }, spawn_error);
    if (will_not_pass(spawn_error)) break;
    if (spawn_error) trouble.pause(spawn_error, ec);
  }

  listener.close();
  if (!connections.wait_empty(weft::detail::deadline_after(options.drain),
                              weft::detail::cancellation::ignored)) {
    connections.cancel_all();
    connections.wait_empty(weft::detail::no_deadline, weft::detail::cancellation::ignored);
  }
  if (will_not_pass(spawn_error)) {
    throw std::system_error(spawn_error, "serve: a stack may have at most 1 GiB");
  }
  if (ec != errc::cancelled && ec != errc::closed) detail::throw_if(ec, "serve");
}

}  // namespace

void serve(listener& listener, const connection_handler& handler, const serve_options& options) {
  serve_with(
      listener, options, [&](std::error_code& ec) { return listener.accept(ec); },
      [&handler](socket& connection) {
        handle([&] { handler(connection); }, [&] { return name_of(connection); });
      });
}

void serve(listener& listener, const peer_handler& handler, const serve_options& options) {
  struct accepted {
    socket connection;
    endpoint peer;
  };

  serve_with(
      listener, options,
      [&](std::error_code& ec) {
        accepted result;
        result.connection = listener.accept(result.peer, ec);
        return result;
      },
      [&handler](accepted& one) {
        handle([&] { handler(one.connection, one.peer); },
               [&] { return "the connection from " + one.peer.to_string(); });
      });
}

}  // namespace weft::net
