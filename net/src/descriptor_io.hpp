// Reading and writing a non-blocking descriptor by waiting: what sockets, listeners and datagram
// sockets have in common.
//
// A descriptor may be closed, and its number reused, while an operation on it waits; so operations
// work on the number and the record, never on the object they were called on.
// Threads: fibers of one worker.
#pragma once

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <system_error>

#include <weft/net/detail/descriptor.hpp>

#include "fd_table.hpp"
#include "poller.hpp"

namespace weft::net::detail {

inline std::error_code system_error_code(int error) noexcept {
  return {error, std::system_category()};
}

// The code for what a system call returned: errno if that was negative.
inline std::error_code check_result(int result) noexcept {
  return result < 0 ? system_error_code(errno) : std::error_code{};
}

// The turn of one operation among those in the same direction of a descriptor: they are served in
// the order in which they came, and none is interleaved with another.
class io_turn {
public:
  // Checks for cancellation and waits for the turn.
  // Errors: errc::cancelled, errc::closed.
  io_turn(const descriptor& target, direction which, std::error_code& ec);
  io_turn(const io_turn&) = delete;
  io_turn& operator=(const io_turn&) = delete;
  ~io_turn();

  explicit operator bool() const noexcept { return granted_; }

  int fd() const noexcept { return fd_; }

  const fd_record& record() const noexcept { return record_; }

  // Waits until the operation may succeed; at once if it may already.
  // Errors: errc::cancelled, errc::closed; errno of epoll_ctl(2) and epoll_create1(2).
  bool await_ready(std::error_code& ec) { return side().ready || park_until_ready(ec); }

  // Waits so long, whatever events come: for what no event tells of. False and `ec` as above.
  bool pause(std::chrono::nanoseconds length, std::error_code& ec);

  // Between the system calls of one operation that goes on without waiting: gives way to others
  // when that has lasted. False when it must end. Errors: errc::cancelled, errc::closed.
  bool go_on(std::error_code& ec);

  // The kernel has said EAGAIN, or all has been read: only an event makes it ready again.
  void not_ready() noexcept { side().ready = false; }

  // To be asked after every wait that is not await_ready().
  bool still_open() const noexcept {
    return record_.generation.load(std::memory_order_relaxed) == generation_;
  }

private:
  fd_direction& side() const noexcept { return record_.at(which_); }

  bool park_until_ready(std::error_code& ec);
  void pass_on() noexcept;

  const int fd_;
  fd_record& record_;
  std::uint32_t generation_ = 0;
  const direction which_;
  bool granted_ = false;
  bool refused_ = false;  // cancelled before it tried, which has counted the call
};

// Calls `attempt()`, which makes one non-blocking system call, as often as it takes, waiting in
// between. Returns what the call returned, or -1 and `ec`.
template <class Attempt>
std::ptrdiff_t retry_when_ready(io_turn& turn, Attempt&& attempt, std::error_code& ec) {
  while (turn.await_ready(ec)) {
    const std::ptrdiff_t result = attempt();
    if (result >= 0) return result;
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      turn.not_ready();
    } else if (errno != EINTR) {
      ec = system_error_code(errno);
      return -1;
    }
  }
  return -1;
}

}  // namespace weft::net::detail
