// The address under load, and sockets on their way to it.
//
// Threads: immutable once parsed.
#pragma once

#include <netinet/in.h>
#include <optional>
#include <string>
#include <string_view>
#include <sys/socket.h>

namespace weft::load {

class target {
public:
  target() = default;

  /// Parses `HOST:PORT` with a numeric v4 address, a v6 address in brackets or `localhost`, or
  /// `unix:/path`.
  ///
  /// Errors: throws std::invalid_argument with one line that says what is accepted.
  static target parse(std::string_view text);

  /// Returns the address as it was given.
  const std::string& text() const noexcept { return text_; }

  bool is_unix() const noexcept { return address_.ss_family == AF_UNIX; }

  /// Tells whether any address of 127.0.0.0/8 may be the source of a connection to it.
  bool is_loopback_v4() const noexcept;

  /// Makes a non-blocking socket, with TCP_NODELAY unless it is a UNIX socket, bound to `source`
  /// if there is one. Returns its descriptor, or -1 with errno set.
  int make_socket(const std::optional<in_addr>& source) const noexcept;

  /// Starts to connect. Returns 0 when it is under way or done, otherwise the error number of
  /// connect(2); for a UNIX socket EAGAIN says that the listen backlog is full.
  int connect(int socket) const noexcept;

private:
  sockaddr_storage address_{};
  socklen_t size_ = 0;
  std::string text_;
};

}  // namespace weft::load
