// The part of a channel that does not depend on what it carries: who waits on either side, and
// whether it is closed. Not for users.
//
// At most one side has waiters whose wait has not ended. Whoever claims a waiter moves the value
// from or to its slot before it gives up the lock: a task that wakes has sent or received.
// Threads: any, as the lock allows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <utility>

#include <weft/fiber/detail/biased_lock.hpp>
#include <weft/fiber/detail/co_wait.hpp>
#include <weft/fiber/detail/wait.hpp>

namespace weft::detail {

struct channel_core {
  channel_core() noexcept = default;
  channel_core(const channel_core&) = delete;
  channel_core& operator=(const channel_core&) = delete;
  ~channel_core();

  // Ends every wait on either side. Nothing happens if it is closed already.
  void close() noexcept;

  mutable biased_lock lock;  // guards all of the channel
  bool closed = false;
  // Who was claimed by a call whose move of the value has thrown, and has not tried again since.
  std::size_t coming_back = 0;
  wait_list senders;
  wait_list receivers;
};

// What one who waits on a channel has published, on its own stack.
struct channel_slot : wait_node {
  // Whether the value has been moved. Not so after a claim if the move has thrown.
  bool done = false;
};

template <class T>
struct sender_slot : channel_slot {
  explicit sender_slot(T& sent) noexcept : value(sent) {}

  T& value;
  std::exception_ptr failure;  // of the move that was its turn; then it is not `done`
};

template <class T>
struct receiver_slot : channel_slot {
  explicit receiver_slot(std::optional<T>& received) noexcept : result(received) {}

  std::optional<T>& result;
};

enum class channel_attempt : std::uint8_t { done, must_wait, closed };

// Whom a call has claimed while it holds the lock of a channel.
struct channel_claims {
  channel_slot* last = nullptr;
  wait_node* aside = nullptr;  // those before: a chain for resume_all()

  // Claims the first who waits on that side; null if there is none. Once, unless who was claimed
  // before is set aside.
  channel_slot* claim_first(wait_list& side) noexcept {
    if (side.empty()) return nullptr;
    return last = static_cast<channel_slot*>(side.claim_first_node(wake_reason::ready));
  }

  // Makes room for another claim.
  void set_aside() noexcept {
    last->next = aside;
    aside = std::exchange(last, nullptr);
  }
};

// Holds the lock of a channel, and resumes who was claimed meanwhile after giving it up.
class channel_access {
public:
  explicit channel_access(channel_core& core) noexcept : core_(core) { enter(); }

  // With `again` it enters so.
  channel_access(channel_core& core, bool again) noexcept : channel_access(core) {
    if (again) --core_.coming_back;
  }

  // Of a lock that is held.
  channel_access(channel_core& core, std::adopt_lock_t /*held*/) noexcept
      : core_(core), held_(true) {}

  channel_access(const channel_access&) = delete;
  channel_access& operator=(const channel_access&) = delete;

  [[gnu::always_inline]] ~channel_access() {
    if (held_) leave();
  }

  // The lock stays held; nobody has been claimed.
  void release() noexcept { held_ = false; }

  // For another try of one whose wait has ended without its value having been moved.
  void enter_again() noexcept {
    enter();
    --core_.coming_back;
  }

  // In line everywhere, so that callers keep what it holds in registers.
  [[gnu::always_inline]] void leave() noexcept {
    held_ = false;
    const channel_claims mine = std::exchange(claims, {});
    if (mine.last != nullptr && !mine.last->done) ++core_.coming_back;
    core_.lock.unlock();
    resume_all(mine.aside);
    if (mine.last != nullptr) mine.last->owner->resume(*mine.last->owner);
  }

  // Waits on that side, having claimed nobody, and gives the lock up.
  wake_reason wait(wait_list& side, channel_slot& mine, deadline_clock::time_point deadline) {
    held_ = false;
    return wait_on(core_, side, mine, deadline);
  }

  // The same for a coroutine, which suspends if this returns true, and has not waited at all if its
  // deadline has passed.
  bool suspend(list_suspension& wait, continuation& then, wait_list& side, channel_slot& mine,
               deadline_clock::time_point deadline);

  channel_claims claims;

private:
  void enter() noexcept {
    core_.lock.lock();
    held_ = true;
  }

  static wake_reason wait_on(channel_core& core, wait_list& side, channel_slot& mine,
                             deadline_clock::time_point deadline);

  channel_core& core_;
  bool held_ = false;
};

}  // namespace weft::detail
