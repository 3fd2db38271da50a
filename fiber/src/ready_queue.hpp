// The fibers that could run now, in the order in which they became ready. Intrusive, never fails.
// Threads: the worker only.
#pragma once

#include <utility>

#include "control_block.hpp"

namespace weft::detail {

class ready_queue {
public:
  bool empty() const noexcept { return head_ == nullptr; }

  // The one that pop() would take, or null.
  const control_block* first() const noexcept { return head_; }

  void push(control_block& block) noexcept {
    block.next_ready = nullptr;
    if (head_ == nullptr) {
      head_ = &block;
    } else {
      tail_->next_ready = &block;
    }
    tail_ = &block;
  }

  // Takes the first one; the queue must not be empty.
  control_block& pop() noexcept { return *std::exchange(head_, head_->next_ready); }

private:
  control_block* head_ = nullptr;
  control_block* tail_ = nullptr;  // meaningless while head_ is null
};

}  // namespace weft::detail
