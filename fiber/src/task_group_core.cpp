#include <mutex>
#include <system_error>
#include <utility>

#include <weft/fiber/detail/task_group_core.hpp>
#include <weft/fiber/detail/wait.hpp>

#include "control_block.hpp"
#include "scheduler.hpp"
#include "unhandled.hpp"

namespace weft::detail {

task_group_core::~task_group_core() {
  while (first_failed_ != nullptr) {
    control_block& each = *std::exchange(first_failed_, first_failed_->group_next);
    // Not by whoever gives up the last share, which may be a thread that detaches it, a moment
    // later.
    if (each.detached.load(std::memory_order_relaxed)) report_unless_retrieved(each);
    give_up_share(each);
  }
}

// ---- what fibers tell it -----------------------------------------------------------------------

void task_group_core::add(control_block& block) noexcept {
  block.group_previous = nullptr;
  block.group_next = nullptr;
  const std::lock_guard hold{lock_};
  ++size_;
}

void task_group_core::start(control_block& block) noexcept {
  const std::lock_guard hold{lock_};
  if (cancelled_) {
    block.cancel_requested.store(true, std::memory_order_relaxed);
    block.judge();
    return;
  }
  block.group_next = uncancelled_;
  if (uncancelled_ != nullptr) uncancelled_->group_previous = &block;
  uncancelled_ = &block;
}

void task_group_core::unlink(control_block& block) noexcept {
  if (block.group_previous != nullptr) {
    block.group_previous->group_next = block.group_next;
  } else if (uncancelled_ == &block) {
    uncancelled_ = block.group_next;
  } else {
    return;  // it was asked to end, or has failed
  }
  if (block.group_next != nullptr) block.group_next->group_previous = block.group_previous;
  block.group_previous = nullptr;
  block.group_next = nullptr;
}

void task_group_core::on_failure(control_block& block) noexcept {
  add_share(block);
  {
    const std::lock_guard hold{lock_};
    unlink(block);
    (first_failed_ != nullptr ? last_failed_->group_next : first_failed_) = &block;
    last_failed_ = &block;
  }
  request_cancel();
}

void task_group_core::remove(control_block& block) noexcept {
  lock_.lock();
  unlink(block);
  wait_node* const waiting = --size_ == 0 ? waiting_.claim_all(wake_reason::ready) : nullptr;
  // The group may go from here on: whoever waits has been claimed, whoever comes finds it empty.
  lock_.unlock();
  resume_all(waiting);
}

void task_group_core::remove_vanished(control_block& block) noexcept {
  lock_.forget_holder();
  remove(block);
}

// ---- visitors ----------------------------------------------------------------------------------

void task_group_core::enter() noexcept {
  const std::lock_guard hold{lock_};
  ++visitors_;
}

void task_group_core::leave() noexcept {
  lock_.lock();
  // Only the owner can still be waiting: who joins is a visitor.
  const bool is_last = --visitors_ == 0 && size_ == 0;
  wait_node* const waiting = is_last ? waiting_.claim_all(wake_reason::ready) : nullptr;
  // The group may go from here on.
  lock_.unlock();
  resume_all(waiting);
}

// ---- what its owner does -----------------------------------------------------------------------

control_block* task_group_core::take_uncancelled() noexcept {
  const std::lock_guard hold{lock_};
  cancelled_ = true;
  control_block* const taken = uncancelled_;
  if (taken != nullptr) {
    unlink(*taken);
    add_reference(*taken);
  }
  return taken;
}

void task_group_core::request_cancel() noexcept {
  const visit here{*this};
  while (control_block* const each = take_uncancelled()) {
    cancel_fiber(*each);
    release_reference(*each);
  }
}

bool task_group_core::cancel_requested() const noexcept {
  const std::lock_guard hold{lock_};
  return cancelled_;
}

std::size_t task_group_core::size() const noexcept {
  const std::lock_guard hold{lock_};
  return size_;
}

void task_group_core::wait_for(who awaited, std::error_code& ec) {
  auto mode = cancellation::honoured;
  if (ec) {
    mode = cancellation::ignored;
    request_cancel();
  }
  lock_.lock();
  while (has(awaited)) {
    note_wait(wait_kind::group, this);
    const wake_reason reason = wait(waiting_, lock_, no_deadline, mode);
    if (reason != wake_reason::ready) {
      mode = cancellation::ignored;
      ec = error_of(reason);
      request_cancel();
    }
    lock_.lock();
  }
  lock_.unlock();
}

bool task_group_core::contains_caller() const noexcept {
  const scheduler* const worker = scheduler::running();
  const control_block* const caller = worker != nullptr ? worker->current_if_any() : nullptr;
  return caller != nullptr && caller->group == this;
}

std::exception_ptr task_group_core::first_error() const noexcept {
  lock_.lock();
  const control_block* const first = first_failed_;
  lock_.unlock();
  return first != nullptr ? retrieve_failure(*first) : nullptr;
}

std::vector<std::exception_ptr> task_group_core::errors() const {
  lock_.lock();
  const control_block* each = first_failed_;
  const control_block* const last = last_failed_;
  lock_.unlock();
  std::vector<std::exception_ptr> result;
  // Up to the last of then the links change no more.
  while (each != nullptr) {
    result.push_back(retrieve_failure(*each));
    each = each != last ? each->group_next : nullptr;
  }
  return result;
}

void task_group_core::retrieve_errors() const noexcept {
  const std::lock_guard hold{lock_};
  for (const control_block* each = first_failed_; each != nullptr; each = each->group_next) {
    retrieve_failure(*each);
  }
}

void task_group_core::throw_outcome(const std::error_code& ec) const {
  if (ec == std::errc::resource_deadlock_would_occur) {
    throw std::system_error(ec, "task_group::join by a fiber of the group");
  }
  if (ec) throw std::system_error(ec, "task_group::join");
  if (const std::exception_ptr first = first_error()) std::rethrow_exception(first);
}

// ---- the same for coroutines -------------------------------------------------------------------

// The caller visits the group until it has the outcome.
bool co_join_group::start() noexcept {
  group_.enter();
  if (group_.contains_caller()) {
    error_ = std::make_error_code(std::errc::resource_deadlock_would_occur);
    return true;
  }
  const bool refused = refuse_coroutine(error_);
  if (refused || failure_ != nullptr) group_.request_cancel();
  if ((refused || group_.size() == 0) && must_give_way()) {
    suspend_ready(*this);
    return false;
  }
  return wait();
}

bool co_join_group::go_on() noexcept {
  if (waiting_) end_wait();
  return wait();
}

bool co_join_group::wait() noexcept {
  group_.lock_.lock();
  while (group_.size_ != 0) {
    waiting_ = true;
    note_wait(wait_kind::group, &group_);
    const auto mode = error_ ? cancellation::ignored : cancellation::honoured;
    if (wait_.begin(*this, group_.waiting_, waiter_of_this_task().node, group_.lock_, no_deadline,
                    mode)) {
      return false;
    }
    end_wait();
    group_.lock_.lock();
  }
  group_.lock_.unlock();
  return true;
}

void co_join_group::end_wait() noexcept {
  const wake_reason reason = wait_.end(group_.waiting_, waiter_of_this_task().node, group_.lock_);
  if (reason == wake_reason::ready) return;
  error_ = error_of(reason);
  group_.request_cancel();
}

void co_join_group::await_resume() const {
  const task_group_core::visit here{group_, std::adopt_lock};
  if (failure_ != nullptr) std::rethrow_exception(std::move(*failure_));
  if (to_ == nullptr) return group_.throw_outcome(error_);
  *to_ = error_;
}

}  // namespace weft::detail
