// How a worker runs tasks made of coroutines: on runners, stacks that such a task holds only while
// it runs, or while it is inside a call that blocks.
#include <utility>

#include "scheduler.hpp"

namespace weft::detail {

// ---- runners -----------------------------------------------------------------------------------

// Keeps one more stack for when a coroutine blocks and others are ready. From any thread.
bool scheduler::reserve_runner(std::error_code& ec) {
  if (runner_reserved_.load(std::memory_order_relaxed)) return true;
  if (!stacks_.reserve(default_class_, ec)) return false;
  if (runner_reserved_.exchange(true, std::memory_order_relaxed)) {
    stacks_.cancel_reservation(default_class_);
  }
  return true;
}

// Returns the context of a runner, on whose stack the next task will run; null if there is none to
// be had.
machine_context* scheduler::take_runner() noexcept {
  if (idle_runner_ != nullptr) {
    runs_on_ = std::exchange(idle_runner_, nullptr);
    return &runner_context_;
  }
  std::error_code ec;
  if (!reserve_runner(ec)) return nullptr;
  runner_reserved_.store(false, std::memory_order_relaxed);
  stack& fresh = stacks_.take(default_class_);
  reserve_runner(ec);  // tried again when it is needed
  fresh.sanitizer.prepare(fresh.base, fresh.size);
  runner_context_ = control_of_thread_;
  start_context(runner_context_, fresh.top(), fresh.size - fresh.colour, &scheduler::fiber_entry);
  runs_on_ = &fresh;
  return &runner_context_;
}

// Whether the first coroutine that had no stack is ready, for one that is to be had again.
bool scheduler::retry_stalled() noexcept {
  std::error_code ec;
  if (stalled_.empty() || !reserve_runner(ec)) return false;
  ready_.push(stalled_.pop());
  return true;
}

void scheduler::end_runners() noexcept {
  if (idle_runner_ != nullptr) stacks_.release(*std::exchange(idle_runner_, nullptr));
  if (runner_reserved_.exchange(false, std::memory_order_relaxed)) {
    stacks_.cancel_reservation(default_class_);
  }
}

// ---- running a task ----------------------------------------------------------------------------

// What a coroutine that has returned to its runner has asked to be called, one after the other.
void scheduler::continue_chain() noexcept {
  while (continuation* const next = std::exchange(go_on_with, nullptr)) next->go_on(*next);
}

// Until it suspends, or has ended.
void scheduler::run_coroutine(control_block& self) noexcept {
  if (self.has_status(fiber_status::resting)) {
    self.status.store(fiber_status::started, std::memory_order_relaxed);
    self.resume_point->go_on(*self.resume_point);
  } else {
    self.status.store(fiber_status::started, std::memory_order_relaxed);
    load_floating_point_control(control_of_thread_);
    if (self.cancel_requested.load(std::memory_order_relaxed)) {
      self.task->abandon();
      task_ended = true;
    } else {
      self.task->run();
    }
  }
  continue_chain();
  if (std::exchange(task_ended, false)) {
    settle(self);
    finish(self);
  } else {
    self.status.store(fiber_status::resting, std::memory_order_relaxed);
    make_current(nullptr);
  }
}

void scheduler::run_to_end(continuation& start, const co_frame& outermost) noexcept {
  control_block& self = current();
  co_guest guest{outermost, self.guests};
  self.guests = &guest;
  for (continuation* next = &start;;) {
    next->go_on(*next);
    continue_chain();
    if (std::exchange(task_ended, false)) break;
    next = self.resume_point;  // before the context of the task takes its place
    guest.awaits = true;
    switch_to(pick_next());
    guest.awaits = false;
  }
  self.guests = guest.outer;
}

// ---- suspending --------------------------------------------------------------------------------

bool scheduler::suspend_until(continuation& then, deadline_clock::time_point deadline,
                              cancellation mode) noexcept {
  control_block& self = current();
  if (end_if_cancelled(self, mode)) return false;
  if (deadline != no_deadline) timers_.arm(self.timer, deadline);
  self.resume_point = &then;
  return true;
}

wake_reason scheduler::end_suspension(deadline_clock::time_point deadline) noexcept {
  control_block& self = current();
  if (deadline != no_deadline) timers_.cancel(self.timer);
  return self.wait.reason();
}

void scheduler::suspend_ready(continuation& then) noexcept {
  control_block& self = current();
  self.resume_point = &then;
  ready_.push(self);
}

bool scheduler::suspend_to_yield(continuation& then) noexcept {
  // Those without a stack are given this one.
  if (stalled_.empty() && !others_are_ready()) {
    // Now and then it does suspend, lest a chain of coroutines that each yield grow on one stack.
    if (++lone_yields_ % budget_a_run != 0) return false;
  }
  suspend_ready(then);
  return true;
}

}  // namespace weft::detail
