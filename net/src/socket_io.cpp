// The reads and writes of weft::net::socket.
#include "socket_io.hpp"

#include <algorithm>
#include <sys/socket.h>

#include <weft/fiber/error.hpp>
#include <weft/net/socket.hpp>

#include "buffer_pool.hpp"
#include "descriptor_io.hpp"

namespace weft::net {

using detail::direction;
using detail::io_turn;

static_assert(borrowed_bytes::capacity == detail::io_buffer::capacity);

namespace {

// For no bytes at all: what every operation checks before it tries, and no wait for a turn.
std::size_t transfer_nothing(const detail::descriptor& target, std::error_code& ec) {
  if (weft::detail::refuse_if_cancelled(ec)) return 0;
  if (!target.is_open()) ec = errc::closed;
  weft::detail::spend_budget();
  return 0;
}

// 0 and `ec` at the end of the stream or on an error.
std::size_t receive_some(io_turn& turn, std::span<std::byte> buffer, std::error_code& ec) {
  const std::ptrdiff_t count = detail::retry_when_ready(
      turn, [&] { return detail::receive_once(turn, buffer.data(), buffer.size()); }, ec);
  if (count == 0) ec = errc::eof;
  return count > 0 ? static_cast<std::size_t>(count) : 0;
}

}  // namespace

std::size_t socket::read_some(std::span<std::byte> buffer, std::error_code& ec) {
  if (buffer.empty()) return transfer_nothing(descriptor_, ec);
  std::size_t count = 0;
  {
    io_turn turn{descriptor_, direction::read, io_turn::and_event{}, ec};
    if (!turn) return 0;
    count = receive_some(turn, buffer, ec);
  }
  return count;
}

std::size_t socket::read(std::span<std::byte> buffer, std::error_code& ec) {
  if (buffer.empty()) return transfer_nothing(descriptor_, ec);
  std::size_t count = 0;
  {
    io_turn turn{descriptor_, direction::read, io_turn::and_event{}, ec};
    if (!turn) return 0;
    do {
      count += receive_some(turn, buffer.subspan(count), ec);
    } while (!ec && count < buffer.size() && turn.go_on(ec));
  }
  return count;
}

borrowed_bytes socket::read_some_borrowed(std::size_t at_most, std::error_code& ec) {
  if (at_most == 0) {
    transfer_nothing(descriptor_, ec);
    return {};
  }
  const std::size_t size = std::min(at_most, borrowed_bytes::capacity);
  detail::io_buffer* buffer = nullptr;
  std::ptrdiff_t count = 0;
  {
    io_turn turn{descriptor_, direction::read, io_turn::and_event{}, ec};
    if (!turn) return {};
    // Lent only once there may be something to read, and given back before another wait.
    count = detail::retry_when_ready(
        turn,
        [&]() -> std::ptrdiff_t {
          buffer = detail::lend_buffer(ec);
          if (buffer == nullptr) {
            errno = ec.value();
            return -1;
          }
          return detail::receive_into_lent(turn, buffer, size);
        },
        ec);
  }
  if (count == 0) ec = errc::eof;
  if (count <= 0) return {};
  return {buffer, {buffer->bytes.data(), static_cast<std::size_t>(count)}};
}

std::size_t socket::write(std::span<const std::byte> data, std::error_code& ec) {
  if (data.empty()) return transfer_nothing(descriptor_, ec);
  std::size_t written = 0;
  {
    io_turn turn{descriptor_, direction::write, ec};
    if (!turn) return 0;
    do {
      const auto rest = data.subspan(written);
      const std::ptrdiff_t count = detail::retry_when_ready(
          turn, [&] { return ::send(turn.fd(), rest.data(), rest.size(), MSG_NOSIGNAL); }, ec);
      if (count < 0) break;
      written += static_cast<std::size_t>(count);
    } while (written < data.size() && turn.go_on(ec));
  }
  return written;
}

void borrowed_bytes::give_back() noexcept {
  if (buffer_ != nullptr) buffer_->home->take_back(*std::exchange(buffer_, nullptr));
}

std::size_t socket::read_some(std::span<std::byte> buffer) {
  std::error_code ec;
  const std::size_t count = read_some(buffer, ec);
  if (ec) throw std::system_error(ec, "socket::read_some");
  return count;
}

std::size_t socket::read(std::span<std::byte> buffer) {
  std::error_code ec;
  const std::size_t count = read(buffer, ec);
  if (ec) throw std::system_error(ec, "socket::read");
  return count;
}

borrowed_bytes socket::read_some_borrowed(std::size_t at_most) {
  std::error_code ec;
  borrowed_bytes result = read_some_borrowed(at_most, ec);
  if (ec && ec != errc::eof) throw std::system_error(ec, "socket::read_some_borrowed");
  return result;
}

std::size_t socket::write(std::span<const std::byte> data) {
  std::error_code ec;
  const std::size_t written = write(data, ec);
  if (ec) throw std::system_error(ec, "socket::write");
  return written;
}

}  // namespace weft::net
