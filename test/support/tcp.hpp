// Blocking sockets for tests: a listener on a free port, a connection, whole sends and receives.
//
// Threads: plain descriptors, as safe as the system calls beneath. A receive gives up after a
// watchdog time, so that a test whose peer stays silent fails instead of hanging.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace weft::test {

/// A descriptor that is closed with its owner.
class unique_fd {
public:
  unique_fd() = default;

  explicit unique_fd(int fd) noexcept : fd_(fd) {}

  unique_fd(unique_fd&& other) noexcept : fd_(other.release()) {}

  unique_fd& operator=(unique_fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }

  ~unique_fd() { reset(); }

  int get() const noexcept { return fd_; }

  explicit operator bool() const noexcept { return fd_ >= 0; }

  int release() noexcept { return std::exchange(fd_, -1); }

  void reset() noexcept;

private:
  int fd_ = -1;
};

/// Listens on a free port of 127.0.0.1. Throws std::system_error.
unique_fd listen_tcp(int backlog = 128);

/// Listens on the UNIX socket `path`, which must not exist. Throws std::system_error.
unique_fd listen_unix(const std::string& path, int backlog = 128);

/// Returns the port that a TCP socket is bound to.
std::uint16_t local_port(const unique_fd& socket);

/// Returns a port of 127.0.0.1 on which nobody listens: the caller holds it bound, for as long as
/// `holder` lives, so that nobody else can take it.
std::uint16_t refused_port(unique_fd& holder);

/// Connects to a port of 127.0.0.1. Throws std::system_error.
unique_fd connect_tcp(std::uint16_t port);

/// Connects to the UNIX socket `path`. Throws std::system_error.
unique_fd connect_unix(const std::string& path);

/// Waits for a connection; empty when the listener was shut down.
unique_fd accept_one(const unique_fd& listener);

/// Sends all of `data`; throws std::system_error when the peer is gone.
void send_all(const unique_fd& socket, std::string_view data);

/// Receives exactly `size` bytes, fewer only when the peer ends the stream before.
std::string recv_all(const unique_fd& socket, std::size_t size);

/// Receives until the peer ends the stream.
std::string recv_until_end(const unique_fd& socket);

}  // namespace weft::test
