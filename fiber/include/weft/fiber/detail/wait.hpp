// One wait, one waker: how a fiber parks and what ends its wait. Used by the libraries above
// fiber/; not for users.
//
// A wait arms the fiber's waiter, publishes it in a wait_queue or on a timer, and parks. Whoever
// ends the wait claims the waiter; one claim succeeds, so every wait ends for exactly one reason,
// and a stale wake-up finds another generation and does nothing. Threads: the worker of the fibers
// only.
#pragma once

#include <chrono>
#include <cstdint>

#include <weft/fiber/detail/atomic.hpp>
#include <weft/fiber/duration.hpp>

namespace weft::detail {

struct control_block;

enum class wake_reason : std::uint8_t {
  none,       // not waiting
  armed,      // waiting
  ready,      // what was waited for has happened
  timed_out,  // the deadline passed first
  cancelled,  // the fiber was cancelled first
  closed,     // the object waited on was closed first
};

// A fiber's place in a wait queue, and the word on which wakers decide who ends the wait.
struct waiter {
  // {generation : 56, wake_reason : 8}. Written by arm() and by the one claim() that succeeds.
  atomic<std::uint64_t> word{0};
  waiter* next = nullptr;  // both null when in no queue
  waiter* previous = nullptr;
  control_block* owner = nullptr;

  // Starts a new wait; claims for the former one fail from now on.
  void arm() noexcept;
  // Ends the wait for `reason`; false when something else has ended it already.
  bool claim(wake_reason reason) noexcept;
  // Why the last wait ended; `armed` while it has not.
  wake_reason reason() const noexcept;

  bool linked() const noexcept { return next != nullptr; }
};

// Claims `entry` and makes its fiber ready; false when its wait has ended already.
bool wake(waiter& entry, wake_reason reason) noexcept;

// The fibers that wait for one thing, in the order in which they came. Not an owner.
class wait_queue {
public:
  bool empty() const noexcept { return head_ == nullptr; }

  // The one that wake_one() would look at first, or null.
  const waiter* first() const noexcept { return head_; }

  void push_back(waiter& entry) noexcept;
  void remove(waiter& entry) noexcept;

  // Ends the first wait that can still be ended, for `reason`; false when there is none.
  bool wake_one(wake_reason reason) noexcept;
  // Ends every wait.
  void wake_all(wake_reason reason) noexcept;

private:
  waiter* head_ = nullptr;  // a ring; the tail is head_->previous
};

using deadline_clock = std::chrono::steady_clock;
inline constexpr deadline_clock::time_point no_deadline = deadline_clock::time_point::max();

// The moment that lies so far from now, no_deadline if that is beyond what the clock counts; now
// for a negative duration.
deadline_clock::time_point deadline_after(any_duration duration) noexcept;

enum class cancellation : std::uint8_t { honoured, ignored };

// Parks the running fiber in `queue` until it is woken, cancelled or `deadline` has passed.
wake_reason wait(wait_queue& queue, deadline_clock::time_point deadline = no_deadline,
                 cancellation mode = cancellation::honoured);

// Parks the running fiber until `deadline` or cancellation. Returns timed_out or cancelled.
wake_reason wait_until(deadline_clock::time_point deadline,
                       cancellation mode = cancellation::honoured);

// The check that every cancellation point makes before it tries: true when the running fiber has
// been cancelled. Names a fiber that ignores it 1,000 times in a row on the diagnostics sink.
bool refuse_if_cancelled();

// Counts a call that succeeded without parking; after 64 of them the fiber yields.
void spend_budget();

// Has the processor fetch what the next ready fiber needs when it runs. For a caller about to make
// a system call, which takes longer than the memory: then the switch after it finds a warm stack.
void warm_next_fiber() noexcept;

// True when the calling thread runs fibers.
bool on_worker() noexcept;

}  // namespace weft::detail
