#include "thread_task.hpp"

#include <algorithm>
#include <cstddef>
#include <mutex>

#include <weft/fiber/detail/planted.hpp>
#include <weft/fiber/detail/worker.hpp>

#include "futex.hpp"

namespace weft::detail {
thread_task& thread_task::of_this_thread() noexcept {
  thread_local thread_task mine;
  return mine;
}

namespace {

// Counts the tasks. Relaxed: the numbers only have to differ.
atomic<std::uint64_t> made{0};

}  // namespace

thread_task::thread_task() noexcept
    : wait_(&thread_task::resume), number_(made.fetch_add(1, std::memory_order_relaxed)) {}

thread_task& thread_task::of(waiter& entry) noexcept {
  static_assert(offsetof(thread_task, wait_) == 0);
  return reinterpret_cast<thread_task&>(entry);
}

// The last that whoever claimed the waiter does with it: the thread may run on and end before it is
// woken. The kernel does not mind a word that is gone, and whoever sleeps on one that has its
// address by then is woken for nothing.
void thread_task::resume(waiter& claimed) noexcept {
  thread_task& task = of(claimed);
  if (task.polling_) task.interrupt_poll();
  const std::uint32_t* const word = task.futex_word();
  // Pairs with the load in block().
  task.resumed_.store(1, std::memory_order_release);
  futex_wake_one(word);
}

// ---- waiting -----------------------------------------------------------------------------------

waiter& thread_task::begin_wait(wake_reason how) noexcept {
  resumed_.store(0, std::memory_order_relaxed);
  wait_.arm(how);
  return wait_;
}

// With the waiter armed. Whoever else claims it still has to resume it: only then may it be used
// again.
wake_reason thread_task::finish_wait(deadline_clock::time_point deadline,
                                     cancellation mode) noexcept {
  auto limit = deadline;
  if (mode == cancellation::honoured) limit = std::min(deadline, become_cancellable());
  // Pairs with the store in resume().
  while (resumed_.load(std::memory_order_acquire) == 0) {
    if (futex_wait(futex_word(), 0, limit)) continue;
    if (give_up(mode)) break;
    limit = no_deadline;
  }
  leave_wait(mode);
  return wait_.reason();
}

// The time is over. Whether nobody else has ended the wait before.
bool thread_task::give_up(cancellation mode) noexcept {
  const verdict now = mode == cancellation::honoured ? current_verdict() : verdict::none;
  return wait_.claim(now != verdict::none ? reason_of(now) : wake_reason::timed_out);
}

void thread_task::leave_wait(cancellation mode) noexcept {
  if (mode == cancellation::ignored) return;
  const std::lock_guard hold{lock_};
  cancellable_ = false;
}

// From now on cancel() ends the wait; if that was called before, the wait is over already. Returns
// the nearest deadline of a scope.
deadline_clock::time_point thread_task::become_cancellable() noexcept {
  const std::lock_guard hold{lock_};
  cancellable_ = true;
  const verdict now = verdict_of(innermost_, verdict::none);
  if (now != verdict::none && !planted(bug::thread_deaf_between_waits) &&
      wait_.claim(reason_of(now))) {
    resume(wait_);
  }
  return nearest_deadline();
}

// ---- scopes ------------------------------------------------------------------------------------

void thread_task::enter(scope_state& scope) noexcept {
  const std::lock_guard hold{lock_};
  scope.outer = innermost_;
  innermost_ = &scope;
}

void thread_task::leave(scope_state& scope) noexcept {
  const std::lock_guard hold{lock_};
  if (innermost_ != &scope) left_before_one_inside();
  innermost_ = scope.outer;
}

verdict thread_task::current_verdict() noexcept {
  const std::lock_guard hold{lock_};
  expire_scopes();
  return verdict_of(innermost_, verdict::none);
}

void thread_task::cancel() noexcept {
  bool claimed = false;
  {
    const std::lock_guard hold{lock_};
    const verdict now = verdict_of(innermost_, verdict::none);
    claimed = cancellable_ && now != verdict::none && wait_.claim(reason_of(now));
  }
  if (claimed) resume(wait_);
}

// With the lock held.
void thread_task::expire_scopes() noexcept {
  if (nearest_deadline() == no_deadline) return;
  const auto now = deadline_clock::now();
  for (scope_state* each = innermost_; each != nullptr; each = each->outer) {
    verdict expected = verdict::none;
    if (each->deadline <= now &&
        each->own.compare_exchange_strong(expected, verdict::expired, std::memory_order_acq_rel)) {
      each->told.store(true, std::memory_order_relaxed);  // nobody else has more to do in it
    }
  }
}

// Of the scopes that concern the task now. With the lock held.
deadline_clock::time_point thread_task::nearest_deadline() const noexcept {
  auto nearest = no_deadline;
  for (const scope_state* each = innermost_; each != nullptr; each = each->outer) {
    nearest = std::min(nearest, each->deadline);
    if (each->shielded) break;
  }
  return nearest;
}

}  // namespace weft::detail
