#include <algorithm>
#include <chrono>
#include <sys/socket.h>

#include <weft/fiber/error.hpp>
#include <weft/net/datagram_socket.hpp>

#include "descriptor_io.hpp"
#include "native_socket.hpp"

namespace weft::net {

using detail::direction;
using detail::retry_when_ready;
using detail::throw_if;

namespace {

// A UNIX socket that is not connected is told EAGAIN when the queue of the receiver is full, and no
// event tells when there is room; instead each attempt makes an event, that its own buffer is free
// again (unix_dgram_sendmsg() in the kernel). So it is tried again after a pause.
template <class Attempt>
std::ptrdiff_t retry_with_pauses(detail::io_turn& turn, Attempt&& attempt, std::error_code& ec) {
  using namespace std::chrono_literals;
  for (std::chrono::milliseconds pause = 1ms;; pause = std::min(2 * pause, 50ms)) {
    const std::ptrdiff_t result = attempt();
    if (result >= 0) return result;
    if (errno != EAGAIN && errno != EINTR) {
      ec = detail::system_error_code(errno);
      return -1;
    }
    if (!turn.pause(pause, ec)) return -1;
  }
}

}  // namespace

datagram_socket datagram_socket::bind(const endpoint& local, std::error_code& ec) {
  datagram_socket result{detail::open_socket(local.family(), SOCK_DGRAM, ec)};
  if (!ec) {
    ec = detail::check_result(::bind(result.native_handle(), local.native(), local.native_size()));
  }
  if (ec) return {};
  return result;
}

datagram_socket::datagram_socket(const endpoint& local) {
  std::error_code ec;
  *this = bind(local, ec);
  if (ec) detail::throw_error(ec, "bind to " + local.to_string());
}

datagram_socket datagram_socket::adopt(int fd, std::error_code& ec) {
  return datagram_socket{detail::adopt_socket(fd, SOCK_DGRAM, ec)};
}

void datagram_socket::connect(const endpoint& remote, std::error_code& ec) {
  if (!is_open()) {
    ec = errc::closed;
    return;
  }
  ec = detail::check_result(::connect(native_handle(), remote.native(), remote.native_size()));
}

namespace {

// One datagram and where it came from.
class reception {
public:
  explicit reception(std::span<std::byte> buffer) noexcept : part_{buffer.data(), buffer.size()} {}

  // One recvmsg(2).
  std::ptrdiff_t attempt(int fd) noexcept {
    message_ = {};
    message_.msg_name = &address_;
    message_.msg_namelen = sizeof address_;
    message_.msg_iov = &part_;
    message_.msg_iovlen = 1;
    return ::recvmsg(fd, &message_, 0);
  }

  // After an attempt that has returned `count`. Returns the size; 0 with `ec` set before.
  std::size_t outcome(std::ptrdiff_t count, endpoint& sender, std::error_code& ec) {
    if (count < 0) return 0;
    // An unnamed UNIX socket has no address to come from.
    sender = endpoint::from_native(reinterpret_cast<const sockaddr*>(&address_),
                                   message_.msg_namelen, ec);
    if (ec) sender = endpoint{};
    ec.clear();
    if ((message_.msg_flags & MSG_TRUNC) != 0) ec = std::make_error_code(std::errc::message_size);
    return static_cast<std::size_t>(count);
  }

private:
  sockaddr_storage address_{};
  iovec part_;
  msghdr message_{};
};

std::ptrdiff_t send_once(int fd, std::span<const std::byte> data,
                         const endpoint* receiver) noexcept {
  return ::sendto(fd, data.data(), data.size(), MSG_NOSIGNAL,
                  receiver != nullptr ? receiver->native() : nullptr,
                  receiver != nullptr ? receiver->native_size() : 0);
}

}  // namespace

std::size_t datagram_socket::receive_from(std::span<std::byte> buffer, endpoint& sender,
                                          std::error_code& ec) {
  std::ptrdiff_t count = 0;
  reception datagram{buffer};
  {
    detail::io_turn turn{descriptor_, direction::read, ec};
    if (!turn) return 0;
    count = retry_when_ready(
        turn, [&] { return datagram.attempt(turn.fd()); }, ec);
  }
  return datagram.outcome(count, sender, ec);
}

std::size_t datagram_socket::receive(std::span<std::byte> buffer, std::error_code& ec) {
  endpoint sender;
  return receive_from(buffer, sender, ec);
}

std::size_t datagram_socket::send_datagram(std::span<const std::byte> data,
                                           const endpoint* receiver, std::error_code& ec) {
  std::ptrdiff_t count = 0;
  {
    detail::io_turn turn{descriptor_, direction::write, ec};
    if (!turn) return 0;
    const auto attempt = [&] { return send_once(turn.fd(), data, receiver); };
    count = receiver != nullptr && receiver->is_unix() ? retry_with_pauses(turn, attempt, ec)
                                                       : retry_when_ready(turn, attempt, ec);
  }
  if (count < 0) return 0;
  return static_cast<std::size_t>(count);
}

std::size_t datagram_socket::send_to(std::span<const std::byte> data, const endpoint& receiver,
                                     std::error_code& ec) {
  return send_datagram(data, &receiver, ec);
}

std::size_t datagram_socket::send(std::span<const std::byte> data, std::error_code& ec) {
  return send_datagram(data, nullptr, ec);
}

void datagram_socket::connect(const endpoint& remote) {
  std::error_code ec;
  connect(remote, ec);
  if (ec) throw std::system_error(ec, "connect to " + remote.to_string());
}

std::size_t datagram_socket::receive_from(std::span<std::byte> buffer, endpoint& sender) {
  std::error_code ec;
  const std::size_t size = receive_from(buffer, sender, ec);
  throw_if(ec, "datagram_socket::receive_from");
  return size;
}

std::size_t datagram_socket::receive(std::span<std::byte> buffer) {
  std::error_code ec;
  const std::size_t size = receive(buffer, ec);
  throw_if(ec, "datagram_socket::receive");
  return size;
}

std::size_t datagram_socket::send_to(std::span<const std::byte> data, const endpoint& receiver) {
  std::error_code ec;
  const std::size_t size = send_to(data, receiver, ec);
  if (ec) throw std::system_error(ec, "send to " + receiver.to_string());
  return size;
}

std::size_t datagram_socket::send(std::span<const std::byte> data) {
  std::error_code ec;
  const std::size_t size = send(data, ec);
  throw_if(ec, "datagram_socket::send");
  return size;
}

datagram_socket datagram_socket::adopt(int fd) {
  std::error_code ec;
  datagram_socket result = adopt(fd, ec);
  throw_if(ec, "datagram_socket::adopt");
  return result;
}

// ---- for coroutines ----------------------------------------------------------------------------

namespace {

// Whether errno of a call that has failed is one to wait for; sets `ec` if not.
bool may_try_again(detail::io_turn& turn, std::error_code& ec) noexcept {
  if (errno == EAGAIN || errno == EWOULDBLOCK) {
    turn.not_ready();
    return true;
  }
  if (errno == EINTR) return true;
  ec = detail::system_error_code(errno);
  return false;
}

// As retry_with_pauses(): the pauses of a sender to UNIX sockets.
co::task<std::ptrdiff_t> co_send_with_pauses(detail::io_turn& turn, std::span<const std::byte> data,
                                             const endpoint* receiver, std::error_code& ec) {
  using namespace std::chrono_literals;
  for (std::chrono::milliseconds pause = 1ms;; pause = std::min(2 * pause, 50ms)) {
    const std::ptrdiff_t count = send_once(turn.fd(), data, receiver);
    if (count >= 0) co_return count;
    if (errno != EAGAIN && errno != EINTR) {
      ec = detail::system_error_code(errno);
      co_return -1;
    }
    if (!co_await turn.co_pause(pause, ec)) co_return -1;
  }
}

}  // namespace

co::task<std::size_t> datagram_socket::co_receive_from(std::span<std::byte> buffer,
                                                       endpoint& sender, std::error_code& ec) {
  std::ptrdiff_t count = -1;
  reception datagram{buffer};
  {
    detail::io_turn turn{descriptor_, direction::read};
    const bool granted = co_await detail::co_turn{turn, ec};
    while (granted && count < 0 && co_await detail::co_ready{turn, ec}) {
      count = datagram.attempt(turn.fd());
      if (count < 0 && !may_try_again(turn, ec)) break;
    }
  }
  co_await weft::detail::co_budget{};
  co_return datagram.outcome(count, sender, ec);
}

co::task<std::size_t> datagram_socket::co_receive(std::span<std::byte> buffer,
                                                  std::error_code& ec) {
  endpoint sender;
  co_return co_await co_receive_from(buffer, sender, ec);
}

co::task<std::size_t> datagram_socket::co_send_datagram(std::span<const std::byte> data,
                                                        const endpoint* receiver,
                                                        std::error_code& ec) {
  std::ptrdiff_t count = -1;
  {
    detail::io_turn turn{descriptor_, direction::write};
    const bool granted = co_await detail::co_turn{turn, ec};
    if (granted && receiver != nullptr && receiver->is_unix()) {
      count = co_await co_send_with_pauses(turn, data, receiver, ec);
    } else {
      while (granted && count < 0 && co_await detail::co_ready{turn, ec}) {
        count = send_once(turn.fd(), data, receiver);
        if (count < 0 && !may_try_again(turn, ec)) break;
      }
    }
  }
  co_await weft::detail::co_budget{};
  co_return count < 0 ? std::size_t{0} : static_cast<std::size_t>(count);
}

co::task<std::size_t> datagram_socket::co_send_to(std::span<const std::byte> data,
                                                  endpoint receiver, std::error_code& ec) {
  co_return co_await co_send_datagram(data, &receiver, ec);
}

co::task<std::size_t> datagram_socket::co_send(std::span<const std::byte> data,
                                               std::error_code& ec) {
  return co_send_datagram(data, nullptr, ec);
}

co::task<std::size_t> datagram_socket::co_receive_from(std::span<std::byte> buffer,
                                                       endpoint& sender) {
  std::error_code ec;
  const std::size_t size = co_await co_receive_from(buffer, sender, ec);
  throw_if(ec, "datagram_socket::receive_from");
  co_return size;
}

co::task<std::size_t> datagram_socket::co_receive(std::span<std::byte> buffer) {
  std::error_code ec;
  const std::size_t size = co_await co_receive(buffer, ec);
  throw_if(ec, "datagram_socket::receive");
  co_return size;
}

co::task<std::size_t> datagram_socket::co_send_to(std::span<const std::byte> data,
                                                  endpoint receiver) {
  std::error_code ec;
  const std::size_t size = co_await co_send_datagram(data, &receiver, ec);
  if (ec) throw std::system_error(ec, "send to " + receiver.to_string());
  co_return size;
}

co::task<std::size_t> datagram_socket::co_send(std::span<const std::byte> data) {
  std::error_code ec;
  const std::size_t size = co_await co_send(data, ec);
  throw_if(ec, "datagram_socket::send");
  co_return size;
}

}  // namespace weft::net
