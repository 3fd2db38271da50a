// A file descriptor of weft's and its record in the table of all of them. Not for users.
//
// The destructor closes the descriptor, which ends the waits on it with errc::closed; it never
// waits. Threads: fibers of one worker.
#pragma once

#include <system_error>
#include <utility>

namespace weft::net::detail {

struct fd_record;

class descriptor {
public:
  descriptor() noexcept = default;

  descriptor(descriptor&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), record_(std::exchange(other.record_, nullptr)) {}

  descriptor& operator=(descriptor&& other) noexcept;

  ~descriptor() { close(); }

  // Takes ownership of a non-blocking descriptor, which stays the caller's on failure.
  // Errors: std::errc::not_enough_memory.
  static descriptor adopt(int fd, bool tcp_stream, std::error_code& ec) noexcept;

  bool is_open() const noexcept { return record_ != nullptr; }

  int fd() const noexcept { return fd_; }

  fd_record* record() const noexcept { return record_; }

  void close() noexcept;
  // Gives the descriptor away, no longer registered and in blocking mode; -1 if there is none.
  int release() noexcept;

private:
  descriptor(int fd, fd_record* record) noexcept : fd_(fd), record_(record) {}

  int fd_ = -1;
  fd_record* record_ = nullptr;
};

}  // namespace weft::net::detail
