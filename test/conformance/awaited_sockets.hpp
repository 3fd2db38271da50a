// The sockets in the form that coroutines await, behind the calls of the form that blocks, as
// awaited.hpp has the primitives; and for the other modes the sockets as they are.
//
// Threads: tasks of a runtime.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

#include <weft/net.hpp>

#include "conformance/awaited.hpp"
#include "conformance/modes.hpp"

namespace weft::test {

namespace awaited {

class socket : public net::socket {
public:
  socket() = default;

  explicit socket(net::socket plain) noexcept : net::socket(std::move(plain)) {}

  static socket connect(const net::endpoint& remote) {
    return socket{await_task(co_connect(remote))};
  }

  static socket connect(const net::endpoint& remote, std::error_code& ec) {
    return socket{await_task(co_connect(remote, ec))};
  }

  std::size_t read_some(std::span<std::byte> buffer, std::error_code& ec) {
    return await([&] { return co_read_some(buffer, ec); });
  }

  std::size_t read(std::span<std::byte> buffer) {
    return await([&] { return co_read(buffer); });
  }

  net::borrowed_bytes read_some_borrowed(std::size_t at_most = net::borrowed_bytes::capacity) {
    return await([&] { return co_read_some_borrowed(at_most); });
  }

  std::size_t write(std::span<const std::byte> data) {
    return await([&] { return co_write(data); });
  }

  std::size_t write(std::string_view text) {
    return await([&] { return co_write(text); });
  }

  std::size_t write(std::string_view text, std::error_code& ec) {
    return await([&] { return co_write(text, ec); });
  }
};

class listener : public net::listener {
public:
  using net::listener::listener;

  socket accept() { return socket{await_task(co_accept())}; }

  socket accept(std::error_code& ec) { return socket{await_task(co_accept(ec))}; }
};

class datagram_socket : public net::datagram_socket {
public:
  using net::datagram_socket::datagram_socket;

  std::size_t receive_from(std::span<std::byte> buffer, net::endpoint& sender) {
    return await_task(co_receive_from(buffer, sender));
  }

  std::size_t receive(std::span<std::byte> buffer) { return await_task(co_receive(buffer)); }

  std::size_t receive(std::span<std::byte> buffer, std::error_code& ec) {
    return await_task(co_receive(buffer, ec));
  }

  std::size_t send_to(std::span<const std::byte> data, const net::endpoint& receiver) {
    return await_task(co_send_to(data, receiver));
  }
};

}  // namespace awaited

/// The sockets in the form that the tasks of a mode use.
template <class Mode>
struct sockets_of {
  using socket = net::socket;
  using listener = net::listener;
  using datagram_socket = net::datagram_socket;
};

template <>
struct sockets_of<as_awaiting_coroutine> {
  using socket = awaited::socket;
  using listener = awaited::listener;
  using datagram_socket = awaited::datagram_socket;
};

}  // namespace weft::test
