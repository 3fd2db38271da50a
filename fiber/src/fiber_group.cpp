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
    each->owner->cancel(*each);
  }
}

bool fiber_group::wait_empty(deadline_clock::time_point deadline, cancellation mode) {
  while (size_ != 0) {
    if (wait(waiting_, deadline, mode) != wake_reason::ready) return size_ == 0;
  }
  return true;
}

co::task<bool> fiber_group::co_wait_empty(deadline_clock::time_point deadline, cancellation mode) {
  while (size_ != 0) {
    std::error_code ec;
    if (mode == cancellation::honoured && refuse_coroutine(ec)) {
      co_await co_budget{};
      co_return size_ == 0;
    }
    waiting_.lock.lock();
    const wake_reason reason =
        co_await co_wait<spin_lock>{waiting_.list, waiting_.lock, deadline, mode};
    if (reason != wake_reason::ready) co_return size_ == 0;
  }
  co_return true;
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
