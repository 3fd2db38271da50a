// What stream sockets, datagram sockets and listeners have in common: a descriptor, its options and
// its names. Nothing here waits.
//
// Threads: any, while no other moves or destroys it.
#pragma once

#include <system_error>
#include <utility>

#include <weft/net/detail/descriptor.hpp>
#include <weft/net/endpoint.hpp>

namespace weft::net {

class basic_socket {
public:
  bool is_open() const noexcept { return descriptor_.is_open(); }

  /// The descriptor, -1 if closed. It stays non-blocking and must not be closed. TLS in the kernel
  /// (TCP_ULP, man 7 tcp) is for a descriptor that was released: adopt() looks whether it has that,
  /// for a read that gets less than it asked for has then not read everything.
  int native_handle() const noexcept { return descriptor_.fd(); }

  /// The address that it is bound to. Errors: errc::closed; else errno of getsockname(2).
  endpoint local_endpoint(std::error_code& ec) const;
  /// The same; throws std::system_error where the overload above sets `ec`.
  endpoint local_endpoint() const;

  /// Sets an option by its number, as setsockopt(2). Errors: errc::closed; errno of setsockopt(2).
  void set_option(int level, int name, int value, std::error_code& ec) noexcept;
  void set_option(int level, int name, int value);
  /// Returns an option by its number, as getsockopt(2). Errors: errc::closed; errno of
  /// getsockopt(2).
  int get_option(int level, int name, std::error_code& ec) const noexcept;
  int get_option(int level, int name) const;

protected:
  basic_socket() noexcept = default;

  explicit basic_socket(detail::descriptor opened) noexcept : descriptor_(std::move(opened)) {}

  basic_socket(basic_socket&&) noexcept = default;
  basic_socket& operator=(basic_socket&&) noexcept = default;
  ~basic_socket() = default;

  /// The address of the peer, of those that have one. Errors: errc::closed; else errno of
  /// getpeername(2), for example std::errc::not_connected.
  endpoint remote_endpoint(std::error_code& ec) const;
  endpoint remote_endpoint() const;

  detail::descriptor descriptor_;
};

}  // namespace weft::net
