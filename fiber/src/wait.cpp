#include <sched.h>

#include <weft/fiber/clock.hpp>
#include <weft/fiber/detail/scope.hpp>
#include <weft/fiber/detail/wait.hpp>
#include <weft/fiber/detail/worker.hpp>
#include <weft/fiber/error.hpp>

#include "control_block.hpp"
#include "scheduler.hpp"
#include "thread_task.hpp"

namespace weft::detail {

scheduler& require_scheduler() noexcept {
  scheduler* const running = scheduler::running();
  if (running == nullptr) {
    misuse("spawn was called on a thread that runs no fibers; call it inside weft::run(), or use "
           "runtime::spawn()");
  }
  return *running;
}

deadline_clock::time_point deadline_after(any_duration duration) noexcept {
  return deadline_after(duration, clock::now());
}

deadline_clock::time_point deadline_after(any_duration duration,
                                          deadline_clock::time_point now) noexcept {
  const auto length = duration.nanoseconds();
  if (length.count() <= 0) return now;
  return length < no_deadline - now ? now + length : no_deadline;
}

waiter& waiter_of_this_task() noexcept {
  scheduler* const worker = scheduler::running();
  return worker != nullptr ? worker->current().wait : thread_task::of_this_thread().own_waiter();
}

waiter& begin_wait(wake_reason how) noexcept {
  scheduler* const worker = scheduler::running();
  if (worker == nullptr) return thread_task::of_this_thread().begin_wait(how);
  waiter& mine = worker->current().wait;
  mine.arm(how);
  return mine;
}

wake_reason finish_wait(deadline_clock::time_point deadline, cancellation mode) {
  scheduler* const worker = scheduler::running();
  return worker != nullptr ? worker->park_until(deadline, mode)
                           : thread_task::of_this_thread().finish_wait(deadline, mode);
}

wake_reason wait(wait_list& list, spin_lock& held, deadline_clock::time_point deadline,
                 cancellation mode) {
  return wait_in_list(list, waiter_of_this_task().node, held, deadline, mode);
}

bool has_passed(deadline_clock::time_point deadline) noexcept {
  return deadline != no_deadline && deadline <= clock::now();
}

wake_reason wait_or_expire(wait_list& list, spin_lock& held, deadline_clock::time_point deadline,
                           cancellation mode) {
  if (!has_passed(deadline)) return wait(list, held, deadline, mode);
  held.unlock();
  return wake_reason::timed_out;
}

wake_reason why_refused() noexcept { return reason_of(current_verdict()); }

wake_reason wait(wait_queue& queue, deadline_clock::time_point deadline, cancellation mode) {
  if (mode == cancellation::honoured && refuse_if_cancelled()) return why_refused();
  queue.lock.lock();
  return wait(queue.list, queue.lock, deadline, mode);
}

wake_reason wait_until(deadline_clock::time_point deadline, cancellation mode) {
  if (mode == cancellation::honoured && refuse_if_cancelled()) return why_refused();
  note_wait(wait_kind::time);
  begin_wait();
  return finish_wait(deadline, mode);
}

bool refuse_now() noexcept {
  scheduler* const worker = scheduler::running();
  return worker != nullptr ? worker->refuse_if_cancelled()
                           : thread_task::of_this_thread().current_verdict() != verdict::none;
}

bool refuse_now(std::error_code& ec) {
  if (!refuse_now()) return false;
  ec = error_of(why_refused());
  return true;
}

std::error_code error_of(wake_reason reason) noexcept {
  switch (reason) {
  case wake_reason::timed_out:
  case wake_reason::expired: return errc::timed_out;
  case wake_reason::cancelled: return errc::cancelled;
  case wake_reason::closed: return errc::closed;
  default: return {};
  }
}

void throw_error_of(wake_reason reason, const char* what) {
  throw std::system_error(error_of(reason), what);
}

void throw_unless_own_deadline(const std::error_code& ec, const char* what) {
  if (!ec) return;
  if (ec != errc::timed_out) throw std::system_error(ec, what);
  // Perhaps its own deadline has ended the wait, and the task was cancelled before it came here.
  throw_if_cancelled(what);
}

void throw_if_cancelled(const char* what) {
  const verdict now = current_verdict();
  if (now != verdict::none) throw std::system_error(error_of(reason_of(now)), what);
}

void warm_next_fiber() noexcept {
  if (const scheduler* const worker = scheduler::running()) worker->warm_next();
}

void give_way() noexcept {
  scheduler* const worker = scheduler::running();
  if (worker == nullptr) return;
  worker->poll_soon();
  worker->yield();
}

void let_others_run() noexcept {
  if (scheduler* const worker = scheduler::running()) {
    worker->yield();
  } else {
    ::sched_yield();
  }
}

}  // namespace weft::detail
