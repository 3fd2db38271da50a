// A datagram socket (UDP, or UNIX datagrams) whose calls look blocking and park only the calling
// fiber.
//
// A wait also ends with errc::timed_out when a weft::timeout around it expires.
// Threads: fibers of one runtime, on whichever of its workers; several may use it at once, and each
// datagram goes to one reader, in the order in which the readers came. Closing it, or destroying
// it, ends their waits with errc::closed.
#pragma once

#include <cstddef>
#include <span>
#include <system_error>

#include <weft/fiber/co/task.hpp>
#include <weft/net/basic_socket.hpp>
#include <weft/net/endpoint.hpp>

namespace weft::net {

class datagram_socket : public basic_socket {
public:
  /// A closed socket.
  datagram_socket() noexcept = default;
  /// A socket bound to `local`; port 0 takes a free one, see local_endpoint().
  ///
  /// Errors: errno of socket(2) and bind(2), for example std::errc::address_in_use.
  explicit datagram_socket(const endpoint& local);
  static datagram_socket bind(const endpoint& local, std::error_code& ec);
  /// Takes ownership of a datagram descriptor and makes it non-blocking; errors as socket::adopt().
  static datagram_socket adopt(int fd, std::error_code& ec);
  static datagram_socket adopt(int fd);

  /// Fixes the peer: send() goes there, and only its datagrams are received. A second call replaces
  /// it. Never waits. Errors: errc::closed; else errno of connect(2).
  void connect(const endpoint& remote, std::error_code& ec);
  void connect(const endpoint& remote);

  /// Receives one datagram; `sender` becomes the address it came from.
  ///
  /// Returns its size, at most `buffer.size()`; a datagram may be empty. Of one that is longer the
  /// rest is lost, and `ec` is std::errc::message_size.
  ///
  /// Waits:  for a datagram.
  /// Ends:   when the fiber is cancelled or the socket is closed.
  /// Errors: errc::cancelled, errc::closed; else errno of recvmsg(2), for example
  ///         std::errc::connection_refused when a connected peer has no such port.
  std::size_t receive_from(std::span<std::byte> buffer, endpoint& sender, std::error_code& ec);
  std::size_t receive_from(std::span<std::byte> buffer, endpoint& sender);
  /// The same without the sender.
  std::size_t receive(std::span<std::byte> buffer, std::error_code& ec);
  std::size_t receive(std::span<std::byte> buffer);

  /// Sends one datagram to `receiver`. Returns its size.
  ///
  /// Waits:  for room in the send buffer; for a UNIX socket, for the receiver to catch up.
  /// Ends:   when the fiber is cancelled or the socket is closed.
  /// Errors: errc::cancelled, errc::closed; else errno of sendto(2), for example
  ///         std::errc::message_size.
  std::size_t send_to(std::span<const std::byte> data, const endpoint& receiver,
                      std::error_code& ec);
  std::size_t send_to(std::span<const std::byte> data, const endpoint& receiver);
  /// The same to the connected peer.
  std::size_t send(std::span<const std::byte> data, std::error_code& ec);
  std::size_t send(std::span<const std::byte> data);

  // ---- for coroutines: as those above without the prefix ----

  co::task<std::size_t> co_receive_from(std::span<std::byte> buffer, endpoint& sender,
                                        std::error_code& ec);
  co::task<std::size_t> co_receive_from(std::span<std::byte> buffer, endpoint& sender);
  co::task<std::size_t> co_receive(std::span<std::byte> buffer, std::error_code& ec);
  co::task<std::size_t> co_receive(std::span<std::byte> buffer);
  co::task<std::size_t> co_send_to(std::span<const std::byte> data, endpoint receiver,
                                   std::error_code& ec);
  co::task<std::size_t> co_send_to(std::span<const std::byte> data, endpoint receiver);
  co::task<std::size_t> co_send(std::span<const std::byte> data, std::error_code& ec);
  co::task<std::size_t> co_send(std::span<const std::byte> data);

  using basic_socket::remote_endpoint;

  /// Closes the socket. Waits that are under way end with errc::closed. Never waits.
  void close() noexcept { descriptor_.close(); }

  /// Gives the descriptor away, in blocking mode; -1 if the socket is closed.
  int release() noexcept { return descriptor_.release(); }

private:
  explicit datagram_socket(detail::descriptor opened) noexcept : basic_socket(std::move(opened)) {}

  std::size_t send_datagram(std::span<const std::byte> data, const endpoint* receiver,
                            std::error_code& ec);
  co::task<std::size_t> co_send_datagram(std::span<const std::byte> data, const endpoint* receiver,
                                         std::error_code& ec);
};

}  // namespace weft::net
