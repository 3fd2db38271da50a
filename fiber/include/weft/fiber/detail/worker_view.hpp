// What every operation looks at of the worker it runs on, in line. Used by the libraries above
// fiber/; not for users.
// Threads: each sees its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#include <weft/fiber/detail/atomic.hpp>

namespace weft {
class driver;
}

namespace weft::detail {

struct continuation;

// What a task's scopes say of its waits.
enum class verdict : std::uint8_t {
  none,
  cancelled,
  expired,  // its deadline has passed
  asked,    // another thread has cancelled something: the task has to look for itself
};

// Before the frame of a coroutine: how much memory it has. (clang may put a frame into that of its
// caller instead; what lies before it then does not know its place.)
struct alignas(__STDCPP_DEFAULT_NEW_ALIGNMENT__) frame_header {
  const void* frame;
  std::size_t room;  // bytes
};

// Errors: std::bad_alloc.
inline void* new_frame(std::size_t room) {
  auto* const header = static_cast<frame_header*>(::operator new(sizeof(frame_header) + room));
  return ::new (header) frame_header{header + 1, room} + 1;
}

inline const frame_header& header_of(const void* frame) noexcept {
  return static_cast<const frame_header*>(frame)[-1];
}

inline void delete_frame(void* frame) noexcept {
  ::operator delete(static_cast<frame_header*>(frame) - 1);
}

// Memory of coroutines that have ended, for the next of about that size.
struct frame_cache {
  static constexpr std::size_t step = 64;     // bytes between classes
  static constexpr std::size_t classes = 16;  // up to 1 KiB
  static constexpr std::uint16_t most = 256;  // of each class, so that a burst is given back

  struct entry {
    entry* next;
  };

  entry* free[classes]{};
  std::uint16_t count[classes]{};

  // Of a worker that runs no more.
  void give_back() noexcept {
    for (entry*& first : free) {
      while (first != nullptr) delete_frame(std::exchange(first, first->next));
    }
  }
};

// The base of a scheduler, which writes it.
struct worker_view {
  // Calls that succeed without parking before the fiber has to give way.
  static constexpr unsigned budget_a_run = 64;

  const atomic<verdict>* judgement = nullptr;  // of the running fiber
  unsigned budget = budget_a_run;
  driver* installed = nullptr;  // what install_driver() was given last, and as of which kind
  const void* installed_kind = nullptr;
  // What a virtual clock shows, in nanoseconds; null where time is that of the steady clock.
  const std::int64_t* virtual_now = nullptr;
  // Set by a coroutine that returns to its runner: what that calls next; and that the task whose
  // coroutine this was has ended.
  continuation* go_on_with = nullptr;
  bool task_ended = false;
  // What the running task is about to wait for: see wait_note.hpp.
  std::uint64_t next_wait = 0;
  frame_cache frames;
};

// Null on a plain thread.
extern constinit thread_local worker_view* running_worker;

// Whether something tells the running fiber of `worker` not to wait, or that it has to look.
inline bool may_be_cancelled(const worker_view& worker) noexcept {
  // Relaxed: who finds it `asked` judges, see control_block::judge().
  return worker.judgement->load(std::memory_order_relaxed) != verdict::none;
}

}  // namespace weft::detail
