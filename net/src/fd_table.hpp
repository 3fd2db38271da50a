// One record for each file descriptor of weft's, in a process-wide table indexed by the descriptor.
//
// It keeps what is known of the descriptor's readiness, who waits for it, and a generation that is
// counted up at every close: an event or a fiber that comes late finds another generation and knows
// that the number now stands for something else.
// Threads: the worker that uses the descriptor; the table itself grows from any thread.
#pragma once

#include <cstdint>
#include <system_error>

#include <weft/fiber/detail/atomic.hpp>
#include <weft/fiber/detail/wait.hpp>

namespace weft::net::detail {

using weft::detail::wait_queue;

// What is waited for; also the index of a direction in a record.
enum class direction : std::uint8_t { read, write };

struct fd_direction {
  wait_queue readiness;  // the operation whose turn it is, while it waits for an event
  wait_queue turn;       // operations that wait for their turn, in the order in which they came
  bool busy = false;     // an operation has its turn
  bool ready = false;    // may succeed; known to be false only after the kernel said so
};

struct fd_record {
  // Atomic, for a late comer looks at it while the number is in use on another thread; relaxed, for
  // any value but its own tells the same.
  weft::detail::atomic<std::uint32_t> generation{0};
  std::uint32_t poller_id = 0;    // which poller has registered it; 0 for none
  std::uint32_t last_events = 0;  // of epoll, as last reported
  bool tcp_stream = false;
  // Hands the record from the thread that closes the descriptor to the one that gets its number:
  // the load in open_record() pairs with the store in retire_record().
  weft::detail::atomic<bool> open{false};
  fd_direction directions[2];

  fd_direction& at(direction which) noexcept { return directions[static_cast<int>(which)]; }

  // Whether a read that got less than it asked for has read everything there was, so that the next
  // event will tell of more. Not after urgent data or a half-close, nor on any other kind of
  // descriptor: there it takes an EAGAIN to know.
  bool short_read_means_drained() const noexcept;
};

// Makes the record of a descriptor that has just been opened ready for use. Null and `ec` on
// failure (std::errc::not_enough_memory).
fd_record* open_record(int fd, bool tcp_stream, std::error_code& ec) noexcept;

// Ends every wait on the descriptor with errc::closed and starts the next generation.
void retire_record(fd_record& record) noexcept;

// The record of `fd`, or null if there has never been one.
fd_record* find_record(int fd) noexcept;

// Has the operation whose turn it is in this direction try again, and what comes after it.
void try_again(fd_record& record, direction which) noexcept;

// Keeps what epoll has reported and wakes the operations whose turn it is.
void report_events(fd_record& record, std::uint32_t events) noexcept;

}  // namespace weft::net::detail
