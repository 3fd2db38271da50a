#include <string>
#include <utility>

#include <weft/fiber/detail/fiber_group.hpp>
#include <weft/fiber/diagnostics.hpp>
#include <weft/fiber/error.hpp>
#include <weft/fiber/this_fiber.hpp>
#include <weft/net/serve.hpp>

namespace weft::net {
namespace {

bool is_everyday(const std::error_code& ec) noexcept {
  return ec == errc::eof || ec == errc::cancelled || ec == errc::closed ||
         ec == std::errc::connection_reset || ec == std::errc::broken_pipe ||
         ec == std::errc::connection_aborted || ec == std::errc::not_connected ||
         ec == std::errc::timed_out;
}

void report(const socket& connection, const char* what) {
  std::error_code ec;
  const endpoint peer = connection.remote_endpoint(ec);
  diagnose((ec ? "a connection" : "the connection from " + peer.to_string()) +
           " ended by an exception: " + what);
}

void handle(const connection_handler& handler, socket& connection) {
  try {
    handler(connection);
  } catch (const std::system_error& error) {
    if (!is_everyday(error.code())) report(connection, error.what());
  } catch (const std::exception& error) {
    report(connection, error.what());
  }
}

// What a server does when no fiber is to be had for a connection, which is closed.
class spawn_trouble {
public:
  // Says so, unless that was said a moment ago, and waits a little for fibers to end and to give
  // their stacks back.
  void pause(std::error_code reason, std::error_code& ec) {
    const auto now = weft::detail::deadline_clock::now();
    if (now >= silent_until_) {
      diagnose("serve: no fiber for a connection: " + reason.message());
      silent_until_ = now + std::chrono::seconds{10};
    }
    this_fiber::sleep_for(std::chrono::milliseconds{100}, ec);
  }

private:
  weft::detail::deadline_clock::time_point silent_until_{};
};

// Any drain time is fine, also the longest that its type can hold.
weft::detail::deadline_clock::time_point deadline_after(std::chrono::nanoseconds drain) noexcept {
  const auto now = weft::detail::deadline_clock::now();
  return drain < weft::detail::no_deadline - now ? now + drain : weft::detail::no_deadline;
}

}  // namespace

void serve(listener& listener, const connection_handler& handler, const serve_options& options) {
  weft::detail::fiber_group connections;
  const spawn_options spawning{.stack_size = options.stack_size};
  spawn_trouble trouble;
  std::error_code ec;
  while (!ec) {
    socket accepted = listener.accept(ec);
    if (ec) break;
    std::error_code spawn_error;
    connections.spawn(
        spawning,
        [connection = std::move(accepted), &handler]() mutable { handle(handler, connection); },
        spawn_error);
    if (spawn_error) trouble.pause(spawn_error, ec);
  }

  listener.close();
  if (!connections.wait_empty(deadline_after(options.drain), weft::detail::cancellation::ignored)) {
    connections.cancel_all();
    connections.wait_empty(weft::detail::no_deadline, weft::detail::cancellation::ignored);
  }
  if (ec != errc::cancelled && ec != errc::closed) throw std::system_error(ec, "serve");
}

}  // namespace weft::net
