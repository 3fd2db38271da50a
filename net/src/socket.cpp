// Connecting, closing and the options of weft::net::socket.
#include <algorithm>
#include <limits>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <weft/fiber/co/sleep.hpp>
#include <weft/fiber/error.hpp>
#include <weft/fiber/this_fiber.hpp>
#include <weft/net/socket.hpp>

#include "descriptor_io.hpp"
#include "native_socket.hpp"

namespace weft::net {

using detail::check_result;
using detail::system_error_code;
using detail::throw_if;

namespace {

// A UNIX socket whose backlog is full refuses a non-blocking connect(2) with EAGAIN, and no event
// tells when there is room (man 2 connect): it is tried again after a pause.
std::error_code connect_with_pauses(int fd, const endpoint& remote) {
  using namespace std::chrono_literals;
  for (std::chrono::milliseconds pause = 1ms;; pause = std::min(2 * pause, 50ms)) {
    if (::connect(fd, remote.native(), remote.native_size()) == 0) return {};
    if (errno != EAGAIN) return system_error_code(errno);
    std::error_code ec;
    this_fiber::sleep_for(pause, ec);
    if (ec) return ec;
  }
}

// An interrupted connect(2) goes on in the background, like one in progress.
bool is_in_progress(const std::error_code& ec) noexcept {
  return ec == std::errc::operation_in_progress || ec == std::errc::interrupted;
}

// After EINPROGRESS: waits for the outcome, which is in SO_ERROR.
std::error_code await_connected(const detail::descriptor& target) {
  std::error_code ec;
  detail::io_turn turn{target, detail::direction::write, ec};
  if (!turn) return ec;
  turn.not_ready();
  if (!turn.await_ready(ec)) return ec;
  const int error = detail::get_option(target, SOL_SOCKET, SO_ERROR, ec);
  return ec ? ec : std::error_code{error, std::system_category()};
}

// The same for coroutines.
co::task<std::error_code> co_connect_with_pauses(int fd, const endpoint& remote) {
  using namespace std::chrono_literals;
  for (std::chrono::milliseconds pause = 1ms;; pause = std::min(2 * pause, 50ms)) {
    if (::connect(fd, remote.native(), remote.native_size()) == 0) co_return std::error_code{};
    if (errno != EAGAIN) co_return system_error_code(errno);
    std::error_code ec;
    co_await co::sleep_for(pause, ec);
    if (ec) co_return ec;
  }
}

co::task<std::error_code> co_await_connected(const detail::descriptor& target) {
  std::error_code ec;
  detail::io_turn turn{target, detail::direction::write};
  if (!co_await detail::co_turn{turn, ec}) co_return ec;
  turn.not_ready();
  if (!co_await detail::co_ready{turn, ec}) co_return ec;
  const int error = detail::get_option(target, SOL_SOCKET, SO_ERROR, ec);
  co_return ec ? ec : std::error_code{error, std::system_category()};
}

}  // namespace

socket socket::adopt(int fd, std::error_code& ec) {
  return socket{detail::adopt_socket(fd, SOCK_STREAM, ec)};
}

socket socket::adopt(int fd) {
  std::error_code ec;
  socket result = adopt(fd, ec);
  throw_if(ec, "socket::adopt");
  return result;
}

socket socket::connect(const endpoint& remote, std::error_code& ec) {
  if (weft::detail::refuse_if_cancelled(ec)) return {};
  socket result{detail::open_socket(remote.family(), SOCK_STREAM, ec)};
  if (!ec) ec = connect_with_pauses(result.native_handle(), remote);
  if (is_in_progress(ec)) ec = await_connected(result.descriptor_);
  weft::detail::spend_budget();
  if (ec) return {};
  return result;
}

co::task<socket> socket::co_connect(endpoint remote, std::error_code& ec) {
  ec.clear();
  if (weft::detail::refuse_coroutine(ec)) {
    co_await weft::detail::co_budget{};
    co_return socket{};
  }
  socket result{detail::open_socket(remote.family(), SOCK_STREAM, ec)};
  if (!ec) ec = co_await co_connect_with_pauses(result.native_handle(), remote);
  if (is_in_progress(ec)) ec = co_await co_await_connected(result.descriptor_);
  co_await weft::detail::co_budget{};
  if (ec) result.close();
  co_return std::move(result);
}

co::task<socket> socket::co_connect(endpoint remote) {
  std::error_code ec;
  socket result = co_await co_connect(remote, ec);
  if (ec) detail::throw_error(ec, "connect to " + remote.to_string());
  co_return std::move(result);
}

socket socket::connect(const endpoint& remote) {
  std::error_code ec;
  socket result = connect(remote, ec);
  if (ec) detail::throw_error(ec, "connect to " + remote.to_string());
  return result;
}

void socket::shutdown(side which, std::error_code& ec) noexcept {
  const int fd = native_handle();
  if (fd < 0) {
    ec = errc::closed;
    return;
  }
  const int how = which == side::read ? SHUT_RD : which == side::write ? SHUT_WR : SHUT_RDWR;
  ec = check_result(::shutdown(fd, how));
  // No event tells the writer of a UNIX socket that its own side was shut down.
  detail::fd_record* const record = descriptor_.record();
  if (which != side::read && record != nullptr) {
    detail::try_again(*record, detail::direction::write);
  }
}

void socket::shutdown(side which) {
  std::error_code ec;
  shutdown(which, ec);
  throw_if(ec, "socket::shutdown");
}

void socket::set_no_delay(bool on, std::error_code& ec) noexcept {
  set_option(IPPROTO_TCP, TCP_NODELAY, on ? 1 : 0, ec);
}

void socket::set_no_delay(bool on) {
  std::error_code ec;
  set_no_delay(on, ec);
  throw_if(ec, "socket::set_no_delay");
}

void socket::set_keep_alive(bool on, std::error_code& ec) noexcept {
  set_option(SOL_SOCKET, SO_KEEPALIVE, on ? 1 : 0, ec);
}

void socket::set_keep_alive(bool on) {
  std::error_code ec;
  set_keep_alive(on, ec);
  throw_if(ec, "socket::set_keep_alive");
}

namespace {

// Options are ints: what is more is as much as they take.
template <class Integer>
int option_value(Integer wanted) noexcept {
  constexpr auto most = static_cast<Integer>(std::numeric_limits<int>::max());
  return static_cast<int>(std::min(wanted, most));
}

}  // namespace

void socket::set_receive_buffer_size(std::size_t bytes, std::error_code& ec) noexcept {
  set_option(SOL_SOCKET, SO_RCVBUF, option_value(bytes), ec);
}

void socket::set_receive_buffer_size(std::size_t bytes) {
  std::error_code ec;
  set_receive_buffer_size(bytes, ec);
  throw_if(ec, "socket::set_receive_buffer_size");
}

void socket::set_send_buffer_size(std::size_t bytes, std::error_code& ec) noexcept {
  set_option(SOL_SOCKET, SO_SNDBUF, option_value(bytes), ec);
}

void socket::set_send_buffer_size(std::size_t bytes) {
  std::error_code ec;
  set_send_buffer_size(bytes, ec);
  throw_if(ec, "socket::set_send_buffer_size");
}

void socket::set_linger(std::optional<std::chrono::seconds> linger, std::error_code& ec) noexcept {
  if (!is_open()) {
    ec = errc::closed;
    return;
  }
  if (linger && linger->count() < 0) {
    ec = std::make_error_code(std::errc::invalid_argument);
    return;
  }
  const ::linger value{linger ? 1 : 0, linger ? option_value(linger->count()) : 0};
  ec = check_result(::setsockopt(native_handle(), SOL_SOCKET, SO_LINGER, &value, sizeof value));
}

void socket::set_linger(std::optional<std::chrono::seconds> linger) {
  std::error_code ec;
  set_linger(linger, ec);
  throw_if(ec, "socket::set_linger");
}

}  // namespace weft::net
