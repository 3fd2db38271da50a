#include <mutex>

#include <weft/fiber/detail/worker.hpp>
#include <weft/fiber/error.hpp>
#include <weft/fiber/mutex.hpp>

#include "control_block.hpp"
#include "thread_task.hpp"

namespace weft {

using detail::cancellation;
using detail::waiter;
using detail::wake_reason;
using std::chrono::steady_clock;

namespace {

// Tells tasks apart, but for one in 65,536 also from those that had their addresses before: what a
// task holds when it ends stays held.
std::uintptr_t key_of(waiter& task) noexcept {
  static_assert(alignof(waiter) > 1);  // the lowest bit of the address is `contended`
  constexpr int address_bits = 48;     // of what a process gets unless it asks for more
  const std::uint64_t number = task.home != nullptr ? detail::control_block::of(task).number()
                                                    : detail::thread_task::of(task).number();
  return reinterpret_cast<std::uintptr_t>(&task) ^
         static_cast<std::uintptr_t>(number << address_bits);
}

std::uintptr_t this_task() noexcept { return key_of(detail::waiter_of_this_task()); }

}  // namespace

mutex::~mutex() {
  // Whoever has just handed it on may still be inside.
  const std::lock_guard hold{lock_};
  if (holder_.load(std::memory_order_relaxed) != 0) {
    detail::misuse("a mutex was destroyed while it was held");
  }
  if (!waiters_.empty()) detail::misuse("a mutex was destroyed while somebody waited for it");
}

bool mutex::take_if_free(std::uintptr_t task) noexcept {
  std::uintptr_t expected = holder_.load(std::memory_order_relaxed);
  if (expected != 0) return false;
  if (__libc_single_threaded != 0) {
    holder_.store(task, std::memory_order_relaxed);
    return true;
  }
  // Pairs with the exchange in release() and the store in hand_on().
  return holder_.compare_exchange_strong(expected, task, std::memory_order_acquire,
                                         std::memory_order_relaxed);
}

// Whoever gives way does so before it tries, or others would have to wait for the lock meanwhile.
void mutex::lock() {
  detail::spend_budget();
  const std::uintptr_t task = this_task();
  if (take_if_free(task)) return;
  std::error_code ec;
  lock_contended(task, detail::no_deadline, cancellation::ignored, ec);
  if (ec) throw std::system_error(ec, "mutex::lock");
}

void mutex::lock(std::error_code& ec) { lock_until(detail::no_deadline, ec); }

bool mutex::try_lock() noexcept {
  detail::spend_budget();
  return take_if_free(this_task());
}

bool mutex::try_lock_for(any_duration duration, std::error_code& ec) {
  return try_lock_until(detail::deadline_after(duration), ec);
}

bool mutex::try_lock_for(any_duration duration) {
  return try_lock_until(detail::deadline_after(duration));
}

bool mutex::try_lock_until(steady_clock::time_point deadline, std::error_code& ec) {
  lock_until(deadline, ec);
  return !ec;
}

bool mutex::try_lock_until(steady_clock::time_point deadline) {
  std::error_code ec;
  if (try_lock_until(deadline, ec)) return true;
  detail::throw_unless_own_deadline(ec, "mutex::try_lock");
  return false;
}

void mutex::lock_until(steady_clock::time_point deadline, std::error_code& ec) {
  detail::spend_budget();
  if (detail::refuse_if_cancelled(ec)) return;
  const std::uintptr_t task = this_task();
  if (take_if_free(task)) return;
  lock_contended(task, deadline, cancellation::honoured, ec);
}

void mutex::lock_contended(std::uintptr_t task, steady_clock::time_point deadline,
                           cancellation mode, std::error_code& ec) {
  if (take_or_leave_word(task, ec)) return;
  detail::note_wait(detail::wait_kind::mutex, this);
  detail::set_error_of(detail::wait_or_expire(waiters_, lock_, deadline, mode), ec);
}

bool mutex::take_or_lock(std::error_code& ec) noexcept {
  const std::uintptr_t task = this_task();
  return take_if_free(task) || take_or_leave_word(task, ec);
}

bool mutex::take_or_leave_word(std::uintptr_t task, std::error_code& ec) noexcept {
  lock_.lock();
  std::uintptr_t seen = holder_.load(std::memory_order_relaxed);
  // Either takes it or leaves word that somebody waits.
  for (;;) {
    if ((seen & ~contended) == task) {
      lock_.unlock();
      ec = std::make_error_code(std::errc::resource_deadlock_would_occur);
      return true;
    }
    if ((seen & contended) != 0) return false;
    const std::uintptr_t wanted = seen == 0 ? task : seen | contended;
    // Pairs with the exchange in release().
    if (!holder_.compare_exchange_weak(seen, wanted, std::memory_order_acquire,
                                       std::memory_order_relaxed)) {
      continue;
    }
    if (seen != 0) return false;
    lock_.unlock();
    return true;
  }
}

void mutex::unlock() noexcept { detail::resume(release()); }

waiter* mutex::release() noexcept {
  const std::uintptr_t task = this_task();
  std::uintptr_t expected = holder_.load(std::memory_order_relaxed);
  if (expected == task) {
    if (__libc_single_threaded != 0) {
      holder_.store(0, std::memory_order_relaxed);
      return nullptr;
    }
    // Pairs with the exchange in take_if_free(). Afterwards this may be gone.
    if (holder_.compare_exchange_strong(expected, 0, std::memory_order_release,
                                        std::memory_order_relaxed)) {
      return nullptr;
    }
  }
  return hand_on(task);
}

waiter* mutex::hand_on(std::uintptr_t task) noexcept {
  if ((holder_.load(std::memory_order_relaxed) & ~contended) != task) {
    detail::misuse("mutex::unlock was called by a task that does not hold the mutex");
  }
  const std::lock_guard hold{lock_};
  waiter* const next = waiters_.claim_first(wake_reason::ready);
  std::uintptr_t holder = next != nullptr ? key_of(*next) : 0;
  // Who is still in the list though nobody could be claimed does not want it any more.
  if (next != nullptr && !waiters_.empty()) holder |= contended;
  // Pairs with the exchange in take_if_free(); the next one has it from the claim.
  holder_.store(holder, std::memory_order_release);
  return next;
}

}  // namespace weft
