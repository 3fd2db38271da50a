// The fibers that could run now, in the order in which they became ready. Intrusive, never fails.
// Threads: the worker only.
#pragma once

#include <cstddef>
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

  // Makes the one that comes `ahead` places after the first the first; there must be that many.
  void bring_forward(std::size_t ahead) noexcept {
    if (ahead == 0) return;
    control_block* before = head_;
    while (--ahead != 0) before = before->next_ready;
    control_block* const chosen = before->next_ready;
    before->next_ready = chosen->next_ready;
    if (chosen == tail_) tail_ = before;
    chosen->next_ready = std::exchange(head_, chosen);
  }

  // How many there are, counted up to `most`.
  std::size_t size_up_to(std::size_t most) const noexcept {
    std::size_t count = 0;
    for (const control_block* each = head_; each != nullptr && count < most; ++count) {
      each = each->next_ready;
    }
    return count;
  }

  // Takes the first one; the queue must not be empty.
  control_block& pop() noexcept { return *std::exchange(head_, head_->next_ready); }

private:
  control_block* head_ = nullptr;
  control_block* tail_ = nullptr;  // meaningless while head_ is null
};

}  // namespace weft::detail
