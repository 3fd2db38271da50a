// The echo of a blocking thread: what the server with a thread for each connection and the one that
// uses its threads again have in common.
//
// Plain POSIX. Threads: any, each with a connection of its own.
#pragma once

#include <cstddef>
#include <sys/socket.h>
#include <sys/types.h>

namespace example {

inline bool send_all(int fd, const char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t sent = ::send(fd, data, size, MSG_NOSIGNAL);
    if (sent < 0) return false;
    data += sent;
    size -= static_cast<std::size_t>(sent);
  }
  return true;
}

/// Sends back what comes until the peer has ended, or has gone.
inline void echo(int fd) {
  constexpr std::size_t buffer_bytes = 8192;
  char buffer[buffer_bytes];
  ssize_t received = 0;
  while ((received = ::recv(fd, buffer, sizeof buffer, 0)) > 0) {
    if (!send_all(fd, buffer, static_cast<std::size_t>(received))) break;
  }
}

}  // namespace example
