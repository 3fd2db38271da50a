// The accept loop of a server: a fiber for every connection, and an orderly end.
//
// Threads: a fiber of the runtime that the listener belongs to.
#pragma once

#include <chrono>
#include <functional>
#include <type_traits>

#include <weft/fiber/cancel_scope.hpp>
#include <weft/fiber/co/task.hpp>
#include <weft/fiber/duration.hpp>
#include <weft/net/endpoint.hpp>
#include <weft/net/listener.hpp>
#include <weft/net/socket.hpp>

namespace weft::net {

struct serve_options {
  /// How long connections that are still open when serve() is asked to end may go on.
  any_duration drain = std::chrono::seconds{5};
  /// Bytes of stack for the fiber of a connection; 0 takes the default of the runtime.
  std::size_t stack_size = 0;
};

/// What is done with one connection. It is closed when the handler has returned.
using connection_handler = std::function<void(socket& connection)>;
/// The same for a handler that wants to know whose connection it is, even if the peer has gone.
using peer_handler = std::function<void(socket& connection, const endpoint& peer)>;

namespace detail {
// Whether a call with these returns a coroutine that has not run yet.
template <class Handler, class... Arguments>
inline constexpr bool returns_coroutine = false;
template <class Handler, class... Arguments>
  requires std::is_invocable_v<Handler&, Arguments...>
inline constexpr bool returns_coroutine<Handler, Arguments...> =
    weft::detail::is_coroutine_to_run<std::invoke_result_t<Handler&, Arguments...>>;

template <class Handler>
inline constexpr bool is_handler_coroutine =
    returns_coroutine<Handler, socket&> || returns_coroutine<Handler, socket&, const endpoint&>;
}  // namespace detail

/// Accepts connections and calls `handler` for each on a fiber of its own.
///
/// A handler may let exceptions out: one that says that the peer has gone (errc::eof,
/// std::errc::connection_reset, broken_pipe and the like) or that the fiber was cancelled ends its
/// connection silently, any other with one line on the diagnostics sink. When no fiber,
/// descriptor or memory is to be had the others go on, and accepting is tried again.
///
/// Waits:  until the calling fiber is cancelled, for example by Ctrl-C under weft::run(), or the
///         listener is closed. Then it closes the listener, lets the connections go on for
///         `options.drain`, cancels those that are left, and returns when the last has ended.
/// Errors: std::system_error with an error of listener::accept() that is no matter of a single
///         connection, after the same orderly end; std::errc::invalid_argument for a stack over 1
///         GiB.
void serve(listener& listener, const connection_handler& handler,
           const serve_options& options = {});
void serve(listener& listener, const peer_handler& handler, const serve_options& options = {});

/// Refuses a handler that is a coroutine: that is for co_serve().
template <class Handler>
  requires detail::is_handler_coroutine<Handler>
void serve(listener& /*listener*/, Handler&& /*handler*/, const serve_options& /*options*/ = {}) {
  static_assert(!detail::is_handler_coroutine<Handler>,
                "the connection would be closed before the coroutine runs: use "
                "weft::net::co_serve()");
}

/// What a coroutine does with one connection. The socket is there until it has ended.
using co_connection_handler = std::function<co::task<>(socket& connection)>;
/// The same for a handler that wants to know whose connection it is, even if the peer has gone.
using co_peer_handler = std::function<co::task<>(socket& connection, const endpoint& peer)>;

/// The same for coroutines: the handler of each connection is a task of its own, and so holds no
/// stack while it waits; `options.stack_size` does not count.
co::task<> co_serve(listener& listener, co_connection_handler handler, serve_options options = {});
co::task<> co_serve(listener& listener, co_peer_handler handler, serve_options options = {});

}  // namespace weft::net
