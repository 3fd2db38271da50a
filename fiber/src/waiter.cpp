#include <cstdint>
#include <mutex>
#include <utility>

#include <weft/fiber/detail/planted.hpp>
#include <weft/fiber/detail/waiter.hpp>

namespace weft::detail {

// ---- waiter ------------------------------------------------------------------------------------

namespace {

// What bug::claim_ignores_generation makes of claim().
bool claim_any_generation(atomic<std::uint64_t>& word, wake_reason reason) noexcept {
  std::uint64_t seen = word.load(std::memory_order_relaxed);
  while (waiter::is_armed(seen)) {
    const auto claimed = (seen & ~waiter::reason_mask) | static_cast<std::uint64_t>(reason);
    if (word.compare_exchange_strong(seen, claimed, std::memory_order_acq_rel)) return true;
  }
  return false;
}

}  // namespace

bool waiter::claim(wake_reason reason) noexcept {
  if (planted(bug::claim_ignores_generation)) return claim_any_generation(word, reason);
  std::uint64_t expected = word.load(std::memory_order_relaxed);
  if (!is_armed(expected)) return false;
  const std::uint64_t claimed = (expected & ~reason_mask) | static_cast<std::uint64_t>(reason);
  if (__libc_single_threaded != 0) {
    word.store(claimed, std::memory_order_relaxed);
    return true;
  }
  // Pairs with the load in reason(): what the waker did before is seen by the task it woke.
  return word.compare_exchange_strong(expected, claimed, std::memory_order_acq_rel,
                                      std::memory_order_relaxed);
}

bool waiter::claim_in_list(wake_reason reason) noexcept {
  const std::uint64_t value = word.load(std::memory_order_relaxed);
  if (home == nullptr || home != running_worker ||
      (value & reason_mask) != static_cast<std::uint64_t>(wake_reason::armed)) {
    return claim(reason);
  }
  // Nobody else can claim it now: who holds no lock does so on this thread, and the lock of the
  // only list is ours.
  word.store((value & ~reason_mask) | static_cast<std::uint64_t>(reason),
             std::memory_order_relaxed);
  return true;
}

bool wake(waiter& entry, wake_reason reason) noexcept {
  if (!entry.claim(reason)) return false;
  entry.resume(entry);
  return true;
}

namespace {

void resume_nobody(waiter& /*claimed*/) noexcept {}

}  // namespace

constinit bool some_have_vanished = false;

void waiter::vanish() noexcept {
  const std::uint64_t generation = word.load(std::memory_order_relaxed) & ~reason_mask;
  word.store(generation | static_cast<std::uint64_t>(wake_reason::cancelled),
             std::memory_order_relaxed);
  resume = &resume_nobody;
  some_have_vanished = true;
}

bool waiter::has_vanished() const noexcept { return resume == &resume_nobody; }

// ---- wait_list ---------------------------------------------------------------------------------

void wait_list::push_back(wait_node& entry) noexcept {
  if (head_ == nullptr) {
    head_ = entry.next = entry.previous = &entry;
    return;
  }
  entry.next = head_;
  entry.previous = head_->previous;
  head_->previous->next = &entry;
  head_->previous = &entry;
}

void wait_list::remove(wait_node& entry) noexcept {
  if (entry.next == &entry) {
    head_ = nullptr;
  } else {
    if (head_ == &entry) head_ = entry.next;
    entry.previous->next = entry.next;
    entry.next->previous = entry.previous;
  }
  entry.next = entry.previous = nullptr;
}

wait_node* wait_list::claim_first_node(wake_reason reason) noexcept {
  if (head_ == nullptr) return nullptr;
  const wait_node* const last = head_->previous;
  for (;;) {
    wait_node& first = *head_;
    remove(first);
    if (first.owner->claim_in_list(reason) || planted(bug::notify_readies_again)) return &first;
    // Its task comes for it: until then whoever destroys the place of the list has to see it.
    push_back(first);
    if (&first == last) return nullptr;
  }
}

std::size_t wait_list::size() const noexcept {
  std::size_t count = 0;
  for (const wait_node* each = head_; each != nullptr;) {
    ++count;
    each = each->next != head_ ? each->next : nullptr;
  }
  return count;
}

bool wait_list::all_have_vanished() const noexcept {
  const wait_node* each = head_;
  do {
    if (!each->owner->has_vanished()) return false;
    each = each->next;
  } while (each != head_);
  return true;
}

const wait_node* wait_list::first_armed() const noexcept {
  const wait_node* each = head_;
  if (each == nullptr) return nullptr;
  do {
    if (each->owner->armed()) return each;
    each = each->next;
  } while (each != head_);
  return nullptr;
}

wait_node* wait_list::claim_some(std::size_t& count, wake_reason reason) noexcept {
  wait_node* chain = nullptr;
  wait_node** end = &chain;
  while (count != 0) {
    wait_node* const taken = claim_first_node(reason);
    if (taken == nullptr) break;
    *end = taken;
    end = &taken->next;
    --count;
  }
  return chain;
}

void resume_chain(wait_node* claimed) noexcept {
  while (claimed != nullptr) {
    // The task may wait again as soon as it runs on, so the link goes first.
    wait_node& each = *std::exchange(claimed, claimed->next);
    each.next = nullptr;
    each.owner->resume(*each.owner);
  }
}

// ---- wait_queue --------------------------------------------------------------------------------

bool wait_queue::empty() noexcept {
  const std::lock_guard hold{lock};
  return list.empty();
}

void wait_queue::push_back(waiter& entry) noexcept {
  const std::lock_guard hold{lock};
  list.push_back(entry.node);
}

void wait_queue::remove(waiter& entry) noexcept {
  const std::lock_guard hold{lock};
  list.remove(entry.node);
}

bool wait_queue::wake_one(wake_reason reason) noexcept {
  lock.lock();
  waiter* const claimed = list.claim_first(reason);
  lock.unlock();
  resume(claimed);
  if (planted(bug::double_wake)) resume(claimed);
  return claimed != nullptr;
}

void wait_queue::wake_all(wake_reason reason) noexcept {
  lock.lock();
  wait_node* const claimed = list.claim_all(reason);
  lock.unlock();
  resume_all(claimed);
}

}  // namespace weft::detail
