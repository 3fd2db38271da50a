// The address of a socket: IPv4 with a port, IPv6 with a port, or a UNIX domain name.
//
// Threads: a plain value; it waits for nothing, and each thread may use its own objects freely.
//
// Text forms, as parse() takes them and to_string() prints them:
//   127.0.0.1:25000      IPv4, four decimal numbers
//   [::1]:80             IPv6, always in brackets
//   [fe80::1%eth0]:80    the same with a scope, the name or the number of an interface
//   unix:/run/x.sock     a path; `unix:` alone is a socket without a name
//   unix:@name           a name in the abstract namespace, man 7 unix
// The port is a decimal number from 0 to 65535. Names of hosts are no addresses: dns resolves
// them. In an abstract name `\0` stands for a NUL byte and `\\` for a backslash; a backslash in
// front of a path takes the rest as it is, for a file whose name begins with `@` or a backslash.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <netinet/in.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>

namespace weft::net {

class endpoint {
public:
  /// Makes an unspecified endpoint, of family AF_UNSPEC: the address of nothing.
  endpoint() noexcept;

  /// Makes an endpoint of the bytes of an address in network order: v4({127, 0, 0, 1}, 80).
  static endpoint v4(std::array<std::uint8_t, 4> address, std::uint16_t port) noexcept;

  /// The same for IPv6. `scope_id` is the number of the interface for a link-local address.
  static endpoint v6(std::array<std::uint8_t, 16> address, std::uint16_t port,
                     std::uint32_t scope_id = 0) noexcept;

  static endpoint loopback_v4(std::uint16_t port) noexcept;  ///< 127.0.0.1
  static endpoint loopback_v6(std::uint16_t port) noexcept;  ///< ::1
  static endpoint any_v4(std::uint16_t port) noexcept;       ///< 0.0.0.0, to listen everywhere
  static endpoint any_v6(std::uint16_t port) noexcept;       ///< ::, to listen everywhere

  /// Makes a UNIX domain endpoint. A leading `@`, or a leading NUL as the kernel has it, makes the
  /// rest an abstract name; an empty `path` is a socket without a name. (Not called `unix`, which
  /// compilers define as a macro in their GNU modes.)
  ///
  /// Errors: std::errc::filename_too_long beyond the 108 bytes of sun_path;
  ///         std::errc::invalid_argument for a NUL within, but for one form: after a leading NUL
  ///         any byte may follow.
  static endpoint unix_domain(std::string_view path, std::error_code& ec) noexcept;

  /// The same; throws std::system_error where the overload above sets `ec`.
  static endpoint unix_domain(std::string_view path);

  /// Copies an address of the system, of `size` bytes and at any alignment. None at all, as
  /// recvfrom(2) reports it for a peer without a name, makes an unspecified endpoint. The flow
  /// label of IPv6 is no part of an address and is dropped.
  ///
  /// Errors: std::errc::invalid_argument when `size` does not fit the family;
  ///         std::errc::address_family_not_supported for families other than the three.
  static endpoint from_native(const sockaddr* address, socklen_t size,
                              std::error_code& ec) noexcept;

  /// The same; throws std::system_error where the overload above sets `ec`.
  static endpoint from_native(const sockaddr* address, socklen_t size);

  /// Reads one of the text forms above, all of `text` and nothing else.
  ///
  /// Errors: std::errc::invalid_argument for any other text, and for an interface that does not
  ///         exist; else errno of socket(2), with which an interface is looked up.
  static endpoint parse(std::string_view text, std::error_code& ec) noexcept;

  /// The same; throws std::system_error where the overload above sets `ec`. Its what() is one line
  /// that names the text, what is wrong with it, and what is accepted.
  static endpoint parse(std::string_view text);

  /// Returns AF_INET, AF_INET6, AF_UNIX or AF_UNSPEC.
  sa_family_t family() const noexcept { return address_.any.sa_family; }

  bool is_v4() const noexcept { return family() == AF_INET; }

  bool is_v6() const noexcept { return family() == AF_INET6; }

  bool is_unix() const noexcept { return family() == AF_UNIX; }

  /// Returns whether it is within 127.0.0.0/8, the same mapped to IPv6, or ::1.
  bool is_loopback() const noexcept;

  /// Returns the port, 0 for what has none.
  std::uint16_t port() const noexcept;

  /// Returns the same address with another port; an unchanged copy where there is none.
  endpoint with_port(std::uint16_t port) const noexcept;

  /// Returns the UNIX domain path; an abstract name as the kernel has it, with a leading NUL; and
  /// nothing for a socket without a name or of another family. Valid as long as this object.
  std::string_view path() const noexcept;

  /// Returns what bind(2), connect(2) and sendto(2) take, native_size() bytes of it.
  const sockaddr* native() const noexcept { return &address_.any; }

  socklen_t native_size() const noexcept { return size_; }

  /// Returns the text form, IPv6 as in RFC 5952; parse() makes an equal endpoint of it. A scope is
  /// printed as its number, so that printing makes no system call. An unspecified endpoint, which
  /// has no text form, is "unspecified".
  std::string to_string() const;

  friend bool operator==(const endpoint& left, const endpoint& right) noexcept;

  /// Orders by family, then by address, then by port.
  friend std::strong_ordering operator<=>(const endpoint& left, const endpoint& right) noexcept;

  friend std::ostream& operator<<(std::ostream& out, const endpoint& value);

private:
  static endpoint of_path(std::string_view bytes) noexcept;
  static endpoint copy_unix(const sockaddr* address, socklen_t size, std::error_code& ec) noexcept;

  // All bytes up to size_ are meaningful, so that equality and hash may look at nothing but bytes.
  union {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
    sockaddr_un local;
  } address_;

  socklen_t size_;
};

}  // namespace weft::net

template <>
struct std::hash<weft::net::endpoint> {
  std::size_t operator()(const weft::net::endpoint& value) const noexcept;
};
