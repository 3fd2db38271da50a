// One wait, one waker: the word on which it is decided who ends a wait, and the lists in which
// waits are published. Used by the libraries above fiber/; not for users.
//
// A wait arms its waiter, publishes it in one list or several and perhaps on a timer, and parks.
// Whoever ends the wait claims the waiter while it holds the lock of the place where it found it;
// one claim succeeds, so every wait ends for exactly one reason, and whoever claimed it resumes it.
// A claim that fails passes the wake-up on to the next in the list. The one who waited unlinks what
// is still published, under the same locks, before it waits again: no stale wake-up ever reaches a
// later wait, and no place goes unnoticed while somebody has still to come back to it.
// Threads: any, as the locks allow.
#pragma once

#include <cstddef>
#include <cstdint>

#include <weft/fiber/detail/atomic.hpp>
#include <weft/fiber/detail/spin_lock.hpp>
#include <weft/fiber/detail/worker_view.hpp>

namespace weft::detail {

enum class wake_reason : std::uint8_t {
  none,   // not waiting
  armed,  // waiting, published in one list at most
  armed_in_several,
  ready,      // what was waited for has happened
  timed_out,  // the deadline passed first
  cancelled,  // a scope of the task was cancelled first
  expired,    // the deadline of a scope of the task passed first
  closed,     // the object waited on was closed first
};

struct waiter;

// The place of a waiter in one list.
struct wait_node {
  wait_node* next = nullptr;  // both null when in no list
  wait_node* previous = nullptr;
  waiter* owner = nullptr;

  bool linked() const noexcept { return next != nullptr; }
};

struct waiter {
  static constexpr std::uint64_t reason_mask = 0xff;
  static constexpr std::uint64_t generation_step = reason_mask + 1;

  using resume_function = void(waiter& claimed) noexcept;

  // {generation : 56, wake_reason : 8}. Written by arm() and by the one claim() that succeeds.
  atomic<std::uint64_t> word{0};
  wait_node node{nullptr, nullptr, this};  // for a wait in one list
  // Makes the task run on, whatever kind it is; called by whoever has claimed the waiter.
  resume_function* resume = nullptr;
  // The worker on whose thread all claims are made that hold no lock of a list: those of its timers
  // and of cancellation. Null for a plain thread.
  worker_view* home = nullptr;

  waiter() noexcept = default;

  explicit waiter(resume_function* how) noexcept : resume(how) {}

  waiter(const waiter&) = delete;
  waiter& operator=(const waiter&) = delete;

  // Starts a new wait; claims for the former one fail from now on.
  void arm(wake_reason how = wake_reason::armed) noexcept {
    // Relaxed: the wait is published afterwards, under the lock of the list it is put in.
    const std::uint64_t generation = word.load(std::memory_order_relaxed) & ~reason_mask;
    word.store((generation + generation_step) | static_cast<std::uint64_t>(how),
               std::memory_order_relaxed);
  }

  // Ends the wait for `reason`; false when something else has ended it already.
  bool claim(wake_reason reason) noexcept;
  // The same with the lock of a list held in which the wait is published.
  bool claim_in_list(wake_reason reason) noexcept;

  // Whether the wait has not ended.
  bool armed() const noexcept { return is_armed(word.load(std::memory_order_acquire)); }

  // In the child of a fork, of a task that is not there: it never waits or runs again, and the
  // nodes that it has published are as good as gone.
  void vanish() noexcept;
  bool has_vanished() const noexcept;

  // Why the last wait ended, if it has.
  wake_reason reason() const noexcept {
    // Pairs with the exchange in claim().
    return static_cast<wake_reason>(word.load(std::memory_order_acquire) & reason_mask);
  }

  static bool is_armed(std::uint64_t value) noexcept {
    const auto reason = static_cast<wake_reason>(value & reason_mask);
    return reason == wake_reason::armed || reason == wake_reason::armed_in_several;
  }
};

// Whether there may be tasks that have vanished. Written in the child of a fork, while it has one
// thread.
extern constinit bool some_have_vanished;

// Claims `entry` and resumes its task; false when its wait has ended already.
bool wake(waiter& entry, wake_reason reason) noexcept;

// The waits for one thing, in the order in which they came. Not an owner.
// Threads: whoever holds the lock that its owner keeps beside it.
class wait_list {
public:
  // A wait that has ended for another reason is there until its task has taken it out.
  bool empty() const noexcept {
    return head_ == nullptr || (some_have_vanished && all_have_vanished());
  }

  // How many there are, with those that have ended.
  std::size_t size() const noexcept;

  // The first that has not ended, or null.
  const wait_node* first_armed() const noexcept;

  // What claim_first() would look at first, or null.
  const wait_node* first() const noexcept { return head_; }

  void push_back(wait_node& entry) noexcept;
  void remove(wait_node& entry) noexcept;

  // Takes out and claims the first wait that can still be ended, or returns null; those before it
  // go to the back. The caller resumes it, best after it has given up the lock.
  waiter* claim_first(wake_reason reason) noexcept {
    if (head_ == nullptr) return nullptr;
    wait_node* const taken = claim_first_node(reason);
    return taken != nullptr ? taken->owner : nullptr;
  }

  // The same, returning the node in which the wait was published; it is gone once its task runs on.
  wait_node* claim_first_node(wake_reason reason) noexcept;

  // The same for all: a chain for resume_all().
  wait_node* claim_all(wake_reason reason) noexcept {
    if (head_ == nullptr) return nullptr;
    if (head_->next == head_) return claim_first_node(reason);  // one, as mostly
    std::size_t count = SIZE_MAX;
    return claim_some(count, reason);
  }

  // The same for the first `count`, from which it takes as many as it has claimed.
  wait_node* claim_some(std::size_t& count, wake_reason reason) noexcept;

private:
  bool all_have_vanished() const noexcept;

  wait_node* head_ = nullptr;  // a ring; the tail is head_->previous
};

// Resumes a waiter that claim_first() has returned; does nothing for null.
inline void resume(waiter* claimed) noexcept {
  if (claimed != nullptr) claimed->resume(*claimed);
}

void resume_chain(wait_node* claimed) noexcept;

// Resumes what claim_all() has returned.
inline void resume_all(wait_node* claimed) noexcept {
  if (claimed != nullptr) resume_chain(claimed);
}

// A list with a lock of its own.
class wait_queue {
public:
  bool empty() noexcept;
  void push_back(waiter& entry) noexcept;
  void remove(waiter& entry) noexcept;

  // Ends the first wait that can still be ended, for `reason`; false when there is none.
  bool wake_one(wake_reason reason) noexcept;
  // Ends every wait.
  void wake_all(wake_reason reason) noexcept;

  spin_lock lock;
  wait_list list;
};

}  // namespace weft::detail
