// What a task waits for, for dumps and debuggers. Used by the libraries above fiber/; not for
// users.
#pragma once

#include <cstdint>

#include <weft/fiber/detail/worker_view.hpp>

namespace weft::detail {

/// The object of each is its address, but where something else is said. tools/gdb/weft.py has them
/// in the same order.
enum class wait_kind : std::uint8_t {
  other,
  time,
  fiber,  // its id
  group,
  mutex,
  condition,
  semaphore,
  event,
  sender,    // of a channel, to receive from
  receiver,  // of a channel, to send to
  several,
  input,   // of a descriptor, its number
  output,  // of a descriptor, its number
  turn,    // on a descriptor that another task is using, its number
  descriptors,
};

/// {wait_kind : 8, object : 56}
using wait_note = std::uint64_t;

inline constexpr unsigned wait_object_bits = 56;
inline constexpr wait_note wait_object_mask = (wait_note{1} << wait_object_bits) - 1;

constexpr wait_note make_wait_note(wait_kind kind, std::uint64_t object) noexcept {
  return (static_cast<std::uint64_t>(kind) << wait_object_bits) | (object & wait_object_mask);
}

constexpr wait_kind kind_of(wait_note note) noexcept {
  return static_cast<wait_kind>(note >> wait_object_bits);
}

constexpr std::uint64_t object_of(wait_note note) noexcept { return note & wait_object_mask; }

/// Whether waits are noted at all: not in the copy of the library by which a bench finds out what
/// that costs.
#ifdef WEFT_WITHOUT_WAIT_NOTES
inline constexpr bool notes_waits = false;
#else
inline constexpr bool notes_waits = true;
#endif

/// What the next wait of the running task is for. A plain thread is in no dump.
inline void note_wait(wait_kind kind, std::uint64_t object = 0) noexcept {
  if constexpr (!notes_waits) return;
  if (worker_view* const worker = running_worker) {
    worker->next_wait = make_wait_note(kind, object);
  }
}

inline void note_wait(wait_kind kind, const void* object) noexcept {
  note_wait(kind, static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(object)));
}

}  // namespace weft::detail
