#include <new>
#include <string>
#include <utility>

#include <weft/fiber/clock.hpp>
#include <weft/fiber/co/sleep.hpp>
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

// Of what a handler has thrown, which ends its connection and nothing else. `name()` says which
// that was.
template <class Name>
void report_unless_everyday(const std::exception& error, Name&& name) noexcept {
  const auto* const system = dynamic_cast<const std::system_error*>(&error);
  if (system != nullptr && is_everyday(system->code())) return;
  try {
    report(name(), error.what());
  } catch (const std::bad_alloc&) {
    diagnose("a connection ended by an exception; there is no memory to say which");
  }
}

// Calls the handler.
template <class Call, class Name>
void handle(Call&& call, Name&& name) {
  try {
    call();
  } catch (const std::exception& error) {
    report_unless_everyday(error, name);
  }
}

// The same for a handler that returns a coroutine, or throws before it does.
template <class Call, class Name>
co::task<> co_handle(Call call, Name name) {
  try {
    co_await call();
  } catch (const std::exception& error) {
    report_unless_everyday(error, name);
  }
}

std::string name_of(const socket& connection) {
  std::error_code ec;
  const endpoint peer = connection.remote_endpoint(ec);
  return ec ? "a connection" : "the connection from " + peer.to_string();
}

// What a server does when no fiber is to be had for a connection, which is closed, or no memory for
// what it needs itself: it waits a little for fibers to end and to give back what they have.
class spawn_trouble {
public:
  void pause(std::error_code reason, std::error_code& ec) {
    report(reason);
    this_fiber::sleep_for(length, ec);
  }

  // The same for a coroutine. Takes no memory.
  co::detail::sleep co_pause(std::error_code reason, std::error_code& ec) {
    report(reason);
    return co::sleep_for(length, ec);
  }

private:
  static constexpr std::chrono::milliseconds length{100};

  // Says so, unless that was said a moment ago, or there is no memory for the words.
  void report(std::error_code reason) noexcept {
    const auto now = weft::clock::now();
    if (now < silent_until_) return;
    try {
      std::string line = "serve: no fiber for a connection: " + reason.message();
      if (reason == std::errc::not_enough_memory) line += weft::detail::how_to_get_stacks;
      diagnose(line);
      silent_until_ = now + std::chrono::seconds{10};
    } catch (const std::bad_alloc&) {
      return;
    }
  }

  weft::detail::deadline_clock::time_point silent_until_{};
};

// Of options.stack_size; any other spawn error is one of memory.
bool will_not_pass(const std::error_code& spawn_error) noexcept {
  return spawn_error == std::errc::invalid_argument;
}

void throw_unless_asked_to_end(const std::error_code& ec) {
  if (ec != errc::cancelled && ec != errc::closed) detail::throw_if(ec, "serve");
}

// A connection and whose it is.
struct accepted_peer {
  socket connection;
  endpoint peer;
};

// Accepts with `accept(ec)`, whose result is what `run` is to be called with on a fiber.
template <class Accept, class Run>
void serve_with(listener& listener, const serve_options& options, Accept&& accept, Run&& run) {
  weft::detail::fiber_group connections;
  const spawn_options spawning{.stack_size = options.stack_size};
  spawn_trouble trouble;
  std::error_code ec;
  std::error_code spawn_error;
  while (!ec) {
    try {
      auto accepted = accept(ec);
      if (ec) break;
      connections.spawn(
          spawning, [accepted = std::move(accepted), &run]() mutable { run(accepted); },
          spawn_error);
    } catch (const std::bad_alloc&) {
      ec.clear();
      spawn_error = std::make_error_code(std::errc::not_enough_memory);
    }
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
  throw_unless_asked_to_end(ec);
}

// The same for coroutines. `accept(ec)` and `run(accepted)` return tasks.
template <class Accept, class Run>
co::task<> co_serve_with(listener& listener, serve_options options, Accept accept, Run run) {
  weft::detail::fiber_group connections;
  spawn_trouble trouble;
  std::error_code ec;
  std::error_code spawn_error;
  while (!ec) {
    try {
      auto accepted = co_await accept(ec);
      if (ec) break;
      connections.spawn(
          {}, [accepted = std::move(accepted), &run]() mutable { return run(accepted); },
          spawn_error);
    } catch (const std::bad_alloc&) {
      ec.clear();
      spawn_error = std::make_error_code(std::errc::not_enough_memory);
    }
    if (spawn_error) co_await trouble.co_pause(spawn_error, ec);
  }

  listener.close();
  using weft::detail::co_wait_empty;
  if (!co_await co_wait_empty{connections, weft::detail::deadline_after(options.drain)}) {
    connections.cancel_all();
    co_await co_wait_empty{connections, weft::detail::no_deadline};
  }
  throw_unless_asked_to_end(ec);
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
  serve_with(
      listener, options,
      [&](std::error_code& ec) {
        accepted_peer result;
        result.connection = listener.accept(result.peer, ec);
        return result;
      },
      [&handler](accepted_peer& one) {
        handle([&] { handler(one.connection, one.peer); },
               [&] { return "the connection from " + one.peer.to_string(); });
      });
}

co::task<> co_serve(listener& listener, co_connection_handler handler, serve_options options) {
  co_await co_serve_with(
      listener, options, [&](std::error_code& ec) { return listener.co_accept(ec); },
      [&handler](socket& connection) {
        return co_handle([&] { return handler(connection); },
                         [&connection] { return name_of(connection); });
      });
}

co::task<> co_serve(listener& listener, co_peer_handler handler, serve_options options) {
  co_await co_serve_with(
      listener, options,
      [&](std::error_code& ec) -> co::task<accepted_peer> {
        accepted_peer result;
        result.connection = co_await listener.co_accept(result.peer, ec);
        co_return std::move(result);
      },
      [&handler](accepted_peer& one) {
        return co_handle([&] { return handler(one.connection, one.peer); },
                         [&one] { return "the connection from " + one.peer.to_string(); });
      });
}

}  // namespace weft::net
