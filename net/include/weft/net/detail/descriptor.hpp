// A file descriptor of weft's and its record in the table of all of them. Not for users.
//
// The destructor closes the descriptor, which ends the waits on it with errc::closed; it never
// waits. Where an operation on another worker is in a system call on it, that operation closes the
// number, so that it cannot be another's by then.
// Threads: any may close it or start an operation on it while others do; the one that moves or
// destroys it must be alone.
#pragma once

#include <cstdint>
#include <system_error>

#include <weft/fiber/detail/atomic.hpp>

namespace weft::net::detail {

struct fd_record;

class descriptor {
public:
  descriptor() noexcept = default;
  descriptor(descriptor&& other) noexcept;
  descriptor& operator=(descriptor&& other) noexcept;

  ~descriptor() { close(); }

  // Takes ownership of a non-blocking descriptor, which stays the caller's on failure.
  // Errors: std::errc::not_enough_memory.
  static descriptor adopt(int fd, bool tcp_stream, std::error_code& ec) noexcept;

  // False, too, once the number has been closed by somebody else and has come again as another
  // descriptor of weft's.
  bool is_open() const noexcept;

  // -1 unless it is open.
  int fd() const noexcept { return is_open() ? fd_ : -1; }

  // What the number was, open or not.
  int number() const noexcept { return fd_; }

  // Null once it is closed here. Relaxed: the record is always there, and what may be done with it
  // is decided by its generation.
  fd_record* record() const noexcept { return record_.load(std::memory_order_relaxed); }

  // The generation of the record for as long as the descriptor is open.
  std::uint32_t generation() const noexcept { return generation_; }

  void close() noexcept;
  // Gives the descriptor away, no longer registered and in blocking mode; -1 unless it is open.
  int release() noexcept;

private:
  fd_record* take_record() noexcept;

  int fd_ = -1;
  std::uint32_t generation_ = 0;
  weft::detail::atomic<fd_record*> record_{nullptr};
};

// Closes a descriptor number that no record stands for any more and tells who waits for one.
void close_number(int fd) noexcept;

}  // namespace weft::net::detail
