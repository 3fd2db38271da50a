// The fibers that could run now, in the order in which they became ready. Never fails.
//
// The first of them stand in a window, where what comes next is known well before it runs: when
// thousands are ready neither their blocks nor their stacks are in the cache, and the processor
// fetches both meanwhile. The others are linked behind it.
// Threads: the worker only.
#pragma once

#include <array>
#include <cstddef>
#include <utility>

#include "control_block.hpp"

namespace weft::detail {

class ready_queue {
public:
  static constexpr std::size_t window = 64;

  bool empty() const noexcept { return taken_ == placed_; }

  // The one that pop() would take, or null.
  const control_block* first() const noexcept { return empty() ? nullptr : at(taken_); }

  // The one after that, or null.
  const control_block* second() const noexcept {
    return placed_ - taken_ < 2 ? nullptr : at(taken_ + 1);
  }

  void push(control_block& block) noexcept {
    if (placed_ - taken_ != window) [[likely]] {
      place(block);
    } else {
      push_behind(block);
    }
  }

  // Makes the one that comes `ahead` places after the first the first; it must be in the window.
  void bring_forward(std::size_t ahead) noexcept {
    control_block* const chosen = at(taken_ + ahead);
    for (std::size_t i = taken_ + ahead; i != taken_; --i) slot(i) = at(i - 1);
    slot(taken_) = chosen;
  }

  // How many there are in the window.
  std::size_t size_in_window() const noexcept { return placed_ - taken_; }

  // Takes the first one; the queue must not be empty.
  control_block& pop() noexcept {
    control_block& first = *at(taken_++);
    if (placed_ - taken_ >= far) {
      __builtin_prefetch(stack_pointer_of(at(taken_ + near - 1)->context));
      if (behind_ != nullptr) place(*std::exchange(behind_, behind_->next_ready));
      __builtin_prefetch(at(taken_ + far - 1));
    }
    return first;
  }

private:
  // So many places ahead a block is fetched, and, when that has come, the end of its stack, or the
  // frame with which a coroutine goes on. Of 10,000 fibers in random order a yield takes a third
  // less time so.
  static constexpr std::size_t far = 12;
  static constexpr std::size_t near = 6;

  control_block*& slot(std::size_t index) noexcept { return window_[index % window]; }

  control_block* at(std::size_t index) const noexcept { return window_[index % window]; }

  void place(control_block& block) noexcept { slot(placed_++) = &block; }

  void push_behind(control_block& block) noexcept {
    block.next_ready = nullptr;
    if (behind_ == nullptr) {
      behind_ = &block;
    } else {
      last_->next_ready = &block;
    }
    last_ = &block;
  }

  std::array<control_block*, window> window_{};  // a ring
  // Both count up for good; the difference is what the window holds.
  std::size_t taken_ = 0;
  std::size_t placed_ = 0;
  control_block* behind_ = nullptr;  // the first that is not in the window, which is full then
  control_block* last_ = nullptr;    // meaningless while `behind_` is null
};

}  // namespace weft::detail
