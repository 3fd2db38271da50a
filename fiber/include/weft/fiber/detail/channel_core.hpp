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

// Holds the lock of a channel, and resumes who was claimed meanwhile after giving it up.
class channel_access {
public:
  explicit channel_access(channel_core& core) noexcept : core_(core) { enter(); }

  // With `again` it enters so.
  channel_access(channel_core& core, bool again) noexcept : channel_access(core) {
    if (again) --core_.coming_back;
  }

  channel_access(const channel_access&) = delete;
  channel_access& operator=(const channel_access&) = delete;

  ~channel_access() {
    if (held_) leave();
  }

  // The lock goes on to the one returned; nobody has been claimed.
  channel_access hand_over() noexcept {
    held_ = false;
    return channel_access{core_, std::adopt_lock};
  }

  // For another try of one whose wait has ended without its value having been moved.
  void enter_again() noexcept {
    enter();
    --core_.coming_back;
  }

  void leave() noexcept {
    held_ = false;
    channel_slot* const claimed = std::exchange(claimed_, nullptr);
    if (claimed != nullptr && !claimed->done) ++core_.coming_back;
    core_.lock.unlock();
    resume_all(std::exchange(aside_, nullptr));
    if (claimed != nullptr) resume(claimed->owner);
  }

  // Claims the first who waits on that side; null if there is none. At most once before leave(),
  // unless who was claimed before is set aside.
  channel_slot* claim_first(wait_list& side) noexcept {
    if (side.empty()) return nullptr;
    wait_node* const node = side.claim_first_node(wake_reason::ready);
    if (node == nullptr) return nullptr;
    return claimed_ = static_cast<channel_slot*>(node);
  }

  // Makes room for another claim; `claimed` is what the last one has returned.
  void set_aside(channel_slot& claimed) noexcept {
    claimed.next = std::exchange(aside_, &claimed);
    claimed_ = nullptr;
  }

  // Waits on that side, having claimed nobody, and gives the lock up.
  wake_reason wait(wait_list& side, channel_slot& mine, deadline_clock::time_point deadline);

  // The same for a coroutine, which suspends if this returns true, and has not waited at all if its
  // deadline has passed.
  bool suspend(list_suspension& wait, continuation& then, wait_list& side, channel_slot& mine,
               deadline_clock::time_point deadline);

private:
  channel_access(channel_core& core, std::adopt_lock_t) noexcept : core_(core), held_(true) {}

  void enter() noexcept {
    core_.lock.lock();
    held_ = true;
  }

  void leave_a_gap() noexcept;

  channel_core& core_;
  channel_slot* claimed_ = nullptr;
  wait_node* aside_ = nullptr;  // a chain for resume_all()
  bool held_ = false;
};

}  // namespace weft::detail
