// One record for each file descriptor of weft's, in a process-wide table indexed by the descriptor.
//
// It keeps what is known of the descriptor's readiness, who waits for it, and a generation that is
// counted up at every close: an event or a task that comes late finds another generation and knows
// that the number now stands for something else.
//
// What is ready: every event is counted, and an operation notes the count before its system call.
// If the kernel then says that there is nothing (or nothing more), it keeps that count in
// `drained_at`: nothing is ready until the count is another one. An event that comes between the
// two is so never lost, whichever thread sees it.
//
// Threads: any. `lock` guards what is not atomic; `drained_at` belongs to the operation that has
// its turn.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <sys/epoll.h>
#include <system_error>

#include <weft/fiber/detail/atomic.hpp>
#include <weft/fiber/detail/spin_lock.hpp>
#include <weft/fiber/detail/waiter.hpp>

namespace weft::net::detail {

// What is waited for; also the index of a direction in a record.
enum class direction : std::uint8_t { read, write };

// The set of this direction alone.
constexpr std::uint8_t only(direction which) noexcept {
  return static_cast<std::uint8_t>(1u << static_cast<unsigned>(which));
}

inline constexpr std::uint8_t both_directions = only(direction::read) | only(direction::write);

struct fd_direction {
  weft::detail::wait_list readiness;  // the operation whose turn it is, while it waits for an event
  weft::detail::wait_list turn;       // the others, in the order in which they came
  // Counted up, with the lock held, at every event. The load of an operation pairs with that: it
  // sees the `traits` as they were reported.
  weft::detail::atomic<std::uint32_t> events{1};
  std::uint32_t drained_at = 0;

  bool ready() const noexcept { return events.load(std::memory_order_acquire) != drained_at; }
};

enum class record_state : std::uint8_t {
  free,
  open,
  closing,   // closed, but an operation is in a system call on it: that one closes the number
  released,  // the same, but the number was given away
};

struct fd_record {
  // Which poller has registered it; 0 for none. Relaxed: written with the lock held, and one's own
  // value can only have been written by oneself or one's siblings.
  weft::detail::atomic<std::uint64_t> poller_id{0};
  // Relaxed where it is read without the lock: any value but its own tells the same.
  weft::detail::atomic<std::uint32_t> generation{0};
  // Of epoll, as last reported, and whether the descriptor is a TCP stream: `tcp_stream`. Written
  // before `events` is counted up.
  weft::detail::atomic<std::uint16_t> traits{0};
  weft::detail::spin_lock lock;
  // Two sets of directions and the state, by hand in one byte, for what compilers make of bit
  // fields is a tenth of an operation. `busy`, bits 0 and 1: an operation has its turn. `away`,
  // bits 2 and 3: that one is not in, and will not make, a system call before it has looked at the
  // generation with the lock held. Bits 4 and 5: record_state.
  std::uint8_t marks = 0;
  fd_direction directions[2];

  // No event of epoll is this bit of the lower sixteen.
  static constexpr std::uint16_t tcp_stream = 0x8000;

  fd_direction& at(direction which) noexcept { return directions[static_cast<int>(which)]; }

  bool is_generation(std::uint32_t expected) const noexcept {
    return generation.load(std::memory_order_relaxed) == expected;
  }

  bool is_tcp_stream() const noexcept {
    return (traits.load(std::memory_order_relaxed) & tcp_stream) != 0;
  }

  // With the lock held, as those below.
  void set_reported(std::uint32_t epoll_events) noexcept {
    const std::uint32_t kind = traits.load(std::memory_order_relaxed) & tcp_stream;
    traits.store(static_cast<std::uint16_t>((epoll_events & ~std::uint32_t{tcp_stream}) | kind),
                 std::memory_order_relaxed);
  }

  record_state state() const noexcept { return static_cast<record_state>(marks >> state_shift); }

  void set_state(record_state now) noexcept {
    constexpr unsigned others = (1u << state_shift) - 1;
    marks = static_cast<std::uint8_t>((marks & others) | static_cast<unsigned>(now) << state_shift);
  }

  // The directions whose turn is taken.
  std::uint8_t busy() const noexcept { return marks & both_directions; }

  bool is_busy(direction which) const noexcept { return (marks & only(which)) != 0; }

  void add_busy(direction which) noexcept { marks |= only(which); }

  void add_away(direction which) noexcept { marks |= away_mark(which); }

  void remove_away(direction which) noexcept { clear(away_mark(which)); }

  // Nobody has the turn of this direction any more.
  void remove_busy(direction which) noexcept { clear(only(which)); }

  // The same; `away` may be left over when an exception came between step_aside() and come_back().
  void end_turn(direction which) noexcept { clear(only(which) | away_mark(which)); }

  // Ends the turns of those that are away. Returns whether there are no others.
  bool end_turns_of_those_away() noexcept {
    const unsigned away = (marks >> away_shift) & both_directions;
    clear(away | unsigned{both_directions} << away_shift);
    return busy() == 0;
  }

  // Whether a read that got less than it asked for has read everything there was, so that the next
  // event will tell of more. Not after urgent data or a half-close, nor on any other kind of
  // descriptor: there it takes an EAGAIN to know.
  bool short_read_means_drained() const noexcept {
    constexpr std::uint16_t untrustworthy = EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI;
    return (traits.load(std::memory_order_relaxed) & (tcp_stream | untrustworthy)) == tcp_stream;
  }

private:
  void clear(unsigned set) noexcept { marks = static_cast<std::uint8_t>(marks & ~set); }

  static constexpr unsigned away_shift = 2;
  static constexpr unsigned state_shift = 4;

  static constexpr std::uint8_t away_mark(direction which) noexcept {
    return static_cast<std::uint8_t>(only(which) << away_shift);
  }
};

// Makes the record of a descriptor that has just been opened ready for use. Null and `ec` on
// failure (std::errc::not_enough_memory).
fd_record* open_record(int fd, bool tcp_stream, std::error_code& ec) noexcept;

// What has come of the retirement of a record.
enum class retired : std::uint8_t {
  not_at_all,    // it is of another generation: the number stands for something else
  still_in_use,  // end_turn() will tell the last one that uses the number
  unused,
};

// Ends every wait on the descriptor of this generation with errc::closed and starts the next one.
retired retire_record(fd_record& record, std::uint32_t generation,
                      record_state if_used = record_state::closing) noexcept;

// Ends the turn of an operation that began in this generation, and gives it to the next in line.
// Returns whether the caller has to close the descriptor, which was closed while it was in use.
bool end_turn(fd_record& record, direction which, std::uint32_t generation) noexcept;

// The same with the lock held, which it gives up.
bool end_turn_locked(fd_record& record, direction which, std::uint32_t generation) noexcept;

[[gnu::always_inline]] inline bool end_turn(fd_record& record, direction which,
                                            std::uint32_t generation) noexcept {
  record.lock.lock();
  if (!record.is_generation(generation) || !record.at(which).turn.empty()) {
    return end_turn_locked(record, which, generation);
  }
  record.end_turn(which);
  record.lock.unlock();
  return false;
}

inline constexpr std::size_t records_a_chunk = 1024;
// Covers fs.nr_open up to 16 million, 16 times its default.
inline constexpr std::size_t chunk_count = std::size_t{16} * 1024;

struct alignas(64) padded_record : fd_record {};

static_assert(sizeof(padded_record) == 64, "one cache line a descriptor");

using record_chunk = std::array<padded_record, records_a_chunk>;

// Chunks are never freed: events and fibers that come late still find their record. The exchange
// that enters a chunk pairs with the load in find_record(): a chunk is seen constructed.
extern constinit std::array<weft::detail::atomic<record_chunk*>, chunk_count> record_table;

// The record of `fd`, or null if there has never been one.
inline fd_record* find_record(int fd) noexcept {
  const auto index = static_cast<std::size_t>(fd);
  record_chunk* const found = record_table[index / records_a_chunk].load(std::memory_order_acquire);
  return found != nullptr ? &(*found)[index % records_a_chunk] : nullptr;
}

// From now on nobody in the child of a fork waits for a descriptor or uses it, and no poller has
// registered it. False when there is no memory.
bool heed_forks() noexcept;

// Has the operation whose turn it is in this direction try again, and what comes after it.
void try_again(fd_record& record, direction which) noexcept;

// Keeps what epoll has reported, if it is of this generation and from the poller that has
// registered the descriptor, and wakes the operations whose turn it is.
void report_events(fd_record& record, std::uint32_t generation, std::uint64_t poller_id,
                   std::uint32_t events) noexcept;

}  // namespace weft::net::detail
