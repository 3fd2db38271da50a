#include <cstddef>
#include <sched.h>

#include <weft/fiber/clock.hpp>
#include <weft/fiber/detail/planted.hpp>
#include <weft/fiber/detail/scope.hpp>
#include <weft/fiber/detail/wait.hpp>
#include <weft/fiber/detail/worker.hpp>

#include "control_block.hpp"
#include "scheduler.hpp"
#include "thread_task.hpp"

namespace weft::detail {

namespace {

[[noreturn]] void left_by_another_task() noexcept {
  misuse("a cancel scope was left by another task than the one that had entered it");
}

bool is_of_this_task(const scope_state& scope) noexcept {
  const scheduler* const worker = scheduler::running();
  if (scope.fiber != nullptr) return worker != nullptr && worker->is_current(*scope.fiber);
  return worker == nullptr && scope.thread == &thread_task::of_this_thread();
}

// Until whoever has cancelled the scope, on another thread, needs neither it nor its task.
void await_canceller(const scope_state& scope) noexcept {
  if (scope.own.load(std::memory_order_relaxed) == verdict::none) return;
  if (planted(bug::leaves_before_told)) return;
  // Pairs with the stores in cancel_scope_for() and thread_task::expire_scopes().
  while (!scope.told.load(std::memory_order_acquire)) ::sched_yield();
}

}  // namespace

scope_state& scope_state::of(timer_node& node) noexcept {
  static_assert(offsetof(scope_state, timer) == 0);
  return *reinterpret_cast<scope_state*>(&node);
}

wake_reason reason_of(verdict why) noexcept {
  return why == verdict::cancelled ? wake_reason::cancelled : wake_reason::expired;
}

verdict verdict_of(const scope_state* innermost, verdict root) noexcept {
  verdict result = verdict::none;
  for (const scope_state* each = innermost; each != nullptr; each = each->outer) {
    const verdict own = each->own.load(std::memory_order_acquire);
    if (own != verdict::none) result = own;
    if (each->shielded) return result;
  }
  return root != verdict::none ? root : result;
}

void left_before_one_inside() noexcept { misuse("a cancel scope was left before one inside it"); }

void enter_scope(scope_state& scope) noexcept {
  if (scheduler* const worker = scheduler::running()) {
    scope.fiber = &worker->current();
    scope.outer = scope.fiber->innermost_scope;
    scope.fiber->innermost_scope = &scope;
    if (scope.shielded) scope.fiber->judge();  // otherwise a new scope changes nothing
  } else {
    scope.thread = &thread_task::of_this_thread();
    scope.thread->enter(scope);
  }
}

void leave_scope(scope_state& scope) noexcept {
  scheduler* const worker = scheduler::running();
  if (scope.fiber != nullptr) {
    if (worker == nullptr || &worker->current() != scope.fiber) left_by_another_task();
    if (scope.fiber->innermost_scope != &scope) left_before_one_inside();
    if (scope.timer.armed()) worker->scope_timers().cancel(scope.timer);
    scope.fiber->innermost_scope = scope.outer;
    if (scope.shielded || scope.own.load(std::memory_order_acquire) != verdict::none) {
      scope.fiber->judge();
    }
    if (scope.fiber->judged() == verdict::none) scope.fiber->forget_refusals();
    await_canceller(scope);
  } else {
    // Its thread may be gone.
    if (worker != nullptr || scope.thread != &thread_task::of_this_thread()) left_by_another_task();
    scope.thread->leave(scope);
    await_canceller(scope);
  }
}

void cancel_scope_for(scope_state& scope, verdict why) noexcept {
  verdict expected = verdict::none;
  if (!scope.own.compare_exchange_strong(expected, why, std::memory_order_acq_rel)) {
    // Who was first may not have told the task yet.
    if (scope.fiber != nullptr) scope.fiber->owner().ask_to_judge(*scope.fiber);
    return;
  }
  if (scope.fiber != nullptr) {
    scope.fiber->owner().check(*scope.fiber);
  } else {
    scope.thread->cancel();
  }
  // Pairs with the load in leave_scope().
  scope.told.store(true, std::memory_order_release);
}

bool has_expired(scope_state& scope) noexcept {
  // Pairs with the exchange in cancel_scope_for(), and in thread_task::expire_scopes().
  if (scope.own.load(std::memory_order_acquire) == verdict::none && has_passed(scope.deadline)) {
    cancel_scope_for(scope, verdict::expired);
  }
  return scope.own.load(std::memory_order_acquire) == verdict::expired;
}

void set_scope_deadline(scope_state& scope, deadline_clock::time_point deadline,
                        deadline_clock::time_point now) noexcept {
  if (!is_of_this_task(scope)) {
    misuse("the deadline of a timeout was moved by another task than the one that had entered it");
  }
  scope.deadline = deadline;
  const bool has_passed = deadline <= now;
  // A plain thread looks at the deadline itself.
  if (scope.fiber != nullptr) {
    timer_wheel& timers = scope.fiber->owner().scope_timers();
    if (has_passed || deadline == no_deadline) {
      timers.cancel(scope.timer);
    } else {
      timers.arm(scope.timer, deadline);
    }
  }
  if (has_passed) cancel_scope_for(scope, verdict::expired);
}

verdict current_verdict() noexcept {
  scheduler* const worker = scheduler::running();
  return worker != nullptr ? worker->current().judged()
                           : thread_task::of_this_thread().current_verdict();
}

}  // namespace weft::detail
