// Calls that fail on request: of the kernel, of the allocator, of the C library.
//
// A program linked with failing_calls.cpp and failing_memory.cpp has the calls of the libraries
// sent here, by the linker (--wrap) or because it defines them itself. While a `faults` exists,
// calls of one kind are counted, and some of them fail or move less than they could, as the kernel
// might. What the test itself does meanwhile is `undisturbed`.
//
// Threads: one `faults` at a time, made and destroyed while no other thread makes such calls.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace weft::test {

/// What can fail. The kernel's calls have their names.
enum class call : unsigned {
  allocation,  ///< operator new of every form
  mmap,
  mprotect,
  madvise,
  sigaltstack,
  pthread_create,
  pthread_getattr_np,
  membarrier,
  futex_wait,
  epoll_create1,
  epoll_ctl,
  epoll_wait,
  eventfd,
  socket,
  bind,
  listen,
  lstat,
  connect,
  accept4,
  getsockopt,
  setsockopt,
  getsockname,
  getpeername,
  shutdown,
  fcntl,
  recv,
  send,
  sendto,
  recvmsg,
  poll,
  ppoll,
  close,
};

inline constexpr std::size_t call_count = static_cast<std::size_t>(call::close) + 1;

const char* name_of(call which) noexcept;

/// What a call is made to do.
enum class effect : std::uint8_t {
  none,
  fails,       ///< with an errno; nothing is moved
  moves_one,   ///< byte, or event, although there are more
  moves_half,  ///< of what there is room for
};

struct strike {
  effect what = effect::none;
  int error = 0;
};

/// Which calls are struck: of `which`, from the `first` on, counted from 1, so many in a row.
struct fault {
  call which = call::allocation;
  strike by = {};
  std::uint64_t first = 1;
  std::uint64_t in_a_row = 1;
};

/// For people: "mmap no. 3 fails: Cannot allocate memory".
std::string to_string(const fault& what);

/// Strikes while it exists. A process that ends by SIGABRT meanwhile says what was struck.
class faults {
public:
  /// Only counts.
  faults();
  explicit faults(const fault& planned);
  /// Both.
  faults(const fault& planned, const fault& other);
  /// About one in `rarity` of the calls that move data or wait for it, by `seed`: interrupted, told
  /// EAGAIN, or short.
  faults(std::uint64_t seed, unsigned rarity);
  faults(const faults&) = delete;
  faults& operator=(const faults&) = delete;
  ~faults();

  /// How many calls of a kind there have been.
  std::uint64_t count(call which) const noexcept;
  /// How many were struck.
  std::uint64_t struck() const noexcept;
};

/// Whether a call of this kind was struck since a `faults` with a plan began.
bool has_struck(call which) noexcept;

/// While one exists, calls of the whole process neither count nor fail.
class undisturbed {
public:
  undisturbed() noexcept;
  undisturbed(const undisturbed&) = delete;
  undisturbed& operator=(const undisturbed&) = delete;
  ~undisturbed();
};

/// The errors that a call may report and that nothing but luck keeps it from.
std::span<const int> errors_of(call which) noexcept;

/// What the process holds, as far as it passes through the calls above.
struct process_holdings {
  std::int64_t allocations = 0;
  std::int64_t mapped_bytes = 0;

  bool operator==(const process_holdings&) const = default;
};

process_holdings held_by_process() noexcept;

namespace detail {

/// For the calls themselves: what the next one of this kind has to do.
strike next_strike(call which) noexcept;
void count_allocations(std::int64_t difference) noexcept;
void count_mapped_bytes(std::int64_t difference) noexcept;

}  // namespace detail

}  // namespace weft::test
