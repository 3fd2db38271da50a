// The part of a channel that does not depend on what it carries: who waits on either side, and
// whether it is closed. Not for users.
//
// At most one side has waiters whose wait has not ended. Whoever claims a waiter moves the value
// from or to its slot before it gives up the lock: a task that wakes has sent or received.
// Threads: any, as the lock allows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include <weft/fiber/detail/biased_lock.hpp>
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

  channel_access(const channel_access&) = delete;
  channel_access& operator=(const channel_access&) = delete;

  ~channel_access() {
    if (held_) leave();
  }

  void enter() noexcept {
    core_.lock.lock();
    held_ = true;
  }

  void leave() noexcept {
    held_ = false;
    core_.lock.unlock();
    resume(std::exchange(claimed_, nullptr));
  }

  // Claims the first who waits on that side; null if there is none. At most once
  // before leave().
  channel_slot* claim_first(wait_list& side) noexcept {
    if (side.empty()) return nullptr;
    wait_node* const node = side.claim_first_node(wake_reason::ready);
    if (node == nullptr) return nullptr;
    claimed_ = node->owner;
    return static_cast<channel_slot*>(node);
  }

  // Waits on that side, having claimed nobody, and gives the lock up.
  wake_reason wait(wait_list& side, channel_slot& mine, deadline_clock::time_point deadline);

private:
  channel_core& core_;
  waiter* claimed_ = nullptr;
  bool held_ = false;
};

}  // namespace weft::detail
