#include <weft/fiber/detail/co_wait.hpp>
#include <weft/fiber/detail/fiber_group.hpp>
#include <weft/fiber/detail/worker.hpp>

#include "control_block.hpp"
#include "scheduler.hpp"

namespace weft::detail {

fiber_group::~fiber_group() {
  if (size_ != 0) misuse("a fiber group was destroyed before its fibers had ended");
}

void fiber_group::cancel_all() noexcept {
  for (control_block* each = first_; each != nullptr; each = each->group_next) {
    each->owner().cancel(*each);
  }
}

bool fiber_group::wait_empty(deadline_clock::time_point deadline, cancellation mode) {
  while (size_ != 0) {
    note_wait(wait_kind::group, this);
    if (wait(waiting_, deadline, mode) != wake_reason::ready) return size_ == 0;
  }
  return true;
}

bool co_wait_empty::start() noexcept {
  wait_queue& waiting = group_.waiting_;
  while (group_.size_ != 0) {
    note_wait(wait_kind::group, &group_);
    waiting.lock.lock();
    if (wait_.begin(*this, waiting.list, waiter_of_this_task().node, waiting.lock, deadline_,
                    cancellation::ignored)) {
      return false;
    }
    if (end_wait() != wake_reason::ready) break;
  }
  return true;
}

bool co_wait_empty::go_on() noexcept { return end_wait() != wake_reason::ready || start(); }

wake_reason co_wait_empty::end_wait() noexcept {
  wait_queue& waiting = group_.waiting_;
  return wait_.end(waiting.list, waiter_of_this_task().node, waiting.lock);
}

void fiber_group::add(control_block& block) noexcept {
  block.group_previous = nullptr;
  block.group_next = first_;
  if (first_ != nullptr) first_->group_previous = &block;
  first_ = &block;
  ++size_;
}

void fiber_group::remove(control_block& block) noexcept {
  if (block.group_previous != nullptr) {
    block.group_previous->group_next = block.group_next;
  } else {
    first_ = block.group_next;
  }
  if (block.group_next != nullptr) block.group_next->group_previous = block.group_previous;
  if (--size_ == 0) waiting_.wake_all(wake_reason::ready);
}

}  // namespace weft::detail
