#include <weft/fiber/detail/wait.hpp>

#include "control_block.hpp"
#include "scheduler.hpp"

namespace weft::detail {
namespace {

constexpr std::uint64_t reason_mask = 0xff;
constexpr std::uint64_t generation_step = reason_mask + 1;

}  // namespace

void waiter::arm() noexcept {
  // Relaxed: the wait is published afterwards, by the queue or the timer it is put in.
  const std::uint64_t generation = word.load(std::memory_order_relaxed) & ~reason_mask;
  word.store((generation + generation_step) | static_cast<std::uint64_t>(wake_reason::armed),
             std::memory_order_relaxed);
}

bool waiter::claim(wake_reason reason) noexcept {
  std::uint64_t expected = word.load(std::memory_order_relaxed);
  if ((expected & reason_mask) != static_cast<std::uint64_t>(wake_reason::armed)) return false;
  const std::uint64_t claimed = (expected & ~reason_mask) | static_cast<std::uint64_t>(reason);
  // Pairs with the load in reason(): what the waker did before is seen by the fiber it woke.
  return word.compare_exchange_strong(expected, claimed, std::memory_order_acq_rel,
                                      std::memory_order_relaxed);
}

wake_reason waiter::reason() const noexcept {
  // Pairs with the exchange in claim().
  return static_cast<wake_reason>(word.load(std::memory_order_acquire) & reason_mask);
}

void wait_queue::push_back(waiter& entry) noexcept {
  if (head_ == nullptr) {
    head_ = entry.next = entry.previous = &entry;
    return;
  }
  entry.next = head_;
  entry.previous = head_->previous;
  head_->previous->next = &entry;
  head_->previous = &entry;
}

void wait_queue::remove(waiter& entry) noexcept {
  if (entry.next == &entry) {
    head_ = nullptr;
  } else {
    if (head_ == &entry) head_ = entry.next;
    entry.previous->next = entry.next;
    entry.next->previous = entry.previous;
  }
  entry.next = entry.previous = nullptr;
}

bool wait_queue::wake_one(wake_reason reason) noexcept {
  while (head_ != nullptr) {
    waiter& first = *head_;
    remove(first);
    if (wake(first, reason)) return true;
  }
  return false;
}

void wait_queue::wake_all(wake_reason reason) noexcept {
  while (wake_one(reason)) {
  }
}

}  // namespace weft::detail
