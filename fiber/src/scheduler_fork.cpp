// A worker in the child of a fork(2): the child has one thread, and of all fibers the one that has
// forked.
//
// The others vanish: they are done, cancelled, for whoever joins them or has them in a group, their
// waits have ended, and nothing of them is destroyed, for what they hold is the parent's affair.
// Their blocks and stacks stay as they are. What has locks of its own, a mutex that one of them
// holds, say, is as POSIX has it for threads: it stays locked.
#include <cstdlib>
#include <utility>

#include <weft/fiber/detail/fiber_owner.hpp>

#include "scheduler.hpp"
#include "task_extras.hpp"
#include "unhandled.hpp"
#include "worker_group.hpp"

namespace weft::detail {

// ---- around the fork ---------------------------------------------------------------------------

void scheduler::hold_for_fork() noexcept {
  blocks_->lock().lock();
  // Others reserve stacks, and come in by the door: of what the child can use nothing must be half
  // changed there.
  is_held_wholly_ = running() == this || !siblings_->runs();
  if (!is_held_wholly_) return;
  stacks_.lock().lock();
  door_.lock();
}

void scheduler::release_after_fork() noexcept {
  if (is_held_wholly_) {
    door_.unlock();
    stacks_.lock().unlock();
  }
  blocks_->lock().unlock();
}

// ---- in the child ------------------------------------------------------------------------------

void scheduler::vanish_fibers() noexcept {
  const control_block* const left = running() == this ? current_if_any() : nullptr;
  blocks_->for_each([&](control_block& block) {
    if (&block != left) vanish(block);
  });
  if (&main_ != left) main_.wait.vanish();
}

void scheduler::vanish(control_block& block) noexcept {
  block.join_lock.forget_holder();
  // What is reserved was being spawned by a thread that is not there.
  if (block.has_status(fiber_status::reserved) || block.has_status(fiber_status::done)) return;
  block.wait.vanish();
  if (running() == this) cancel_timers_of(block);
  // As whom nobody ever gives up: its task is neither run nor destroyed.
  add_share(block);
  add_reference(block);
  if (block.task != nullptr) {
    block.task->failure = cancelled_before_start();
    block.task->cancelled = true;
  }
  if (fiber_owner* const group = std::exchange(block.group, nullptr)) group->remove_vanished(block);
  block.status.store(fiber_status::done, std::memory_order_relaxed);
}

void scheduler::cancel_timers_of(control_block& block) noexcept {
  timers_.cancel(block.timer);
  for (scope_state* each = block.innermost_scope; each != nullptr; each = each->outer) {
    scope_timers_.cancel(each->timer);
  }
}

void scheduler::forget_threads() noexcept {
  watchers_.lock.forget_holder();
  ended_.lock.forget_holder();
  visitors_.store(0, std::memory_order_relaxed);
}

void scheduler::start_anew_after_fork() {
  forget_threads();
  // Those that have been posted, without those that were being so by a thread that is not there.
  std::size_t posted = 0;
  for (control_block* each = woken_.take_all(); each != nullptr; ++posted) {
    control_block& block = *std::exchange(each, each->next_ready);
    woken_.push(block);
  }
  arriving_.store(posted, std::memory_order_relaxed);
  driver_->after_fork();
}

void scheduler::keep_running_fiber_alone() {
  control_block& self = current();
  forget_threads();
  ready_ = stalled_ = {};
  woken_.take_all();
  for (control_block* each = checks_.take_all(); each != nullptr; each = each->next_check) {
    each->check_posted.store(false, std::memory_order_relaxed);
  }
  // Who has cancelled one of its scopes may not have come to the end of that.
  self.join_lock.forget_holder();
  for (scope_state* each = self.innermost_scope; each != nullptr; each = each->outer) {
    each->told.store(each->own.load(std::memory_order_relaxed) != verdict::none,
                     std::memory_order_relaxed);
  }
  self.judge();
  timers_.cancel(main_.timer);
  live_.store(0, std::memory_order_relaxed);
  arriving_.store(0, std::memory_order_relaxed);
  open_to_others_ = true;
  ending_ = false;
  gives_up_at_.store(deadline_clock::time_point::min(), std::memory_order_relaxed);
  index_ = 0;
  siblings_->keep_alone(*this);
  if (&self != &main_) forked_ = &self;
  driver_->after_fork();
}

// The fiber that forked has ended, and with it the thread, the last one of the process.
void scheduler::end_child(control_block& self) noexcept {
  unwind(self);
  siblings_->begin_to_end();
  close_to_others();
  end_remaining_fibers();
  int code = EXIT_SUCCESS;
  if (self.task != nullptr && self.task->failure && !self.task->cancelled) {
    report_unless_retrieved(self);
    code = EXIT_FAILURE;
  }
  std::exit(code);
}

}  // namespace weft::detail
