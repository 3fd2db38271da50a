// The hook of one timer in a timer wheel. Not for users.
#pragma once

#include <cstdint>

namespace weft::detail {

/// Embedded in the owner of the timer, who keeps it in place while it is armed.
struct timer_node {
  timer_node* next = nullptr;  // null when not armed
  timer_node* previous = nullptr;
  std::uint64_t expiry = 0;  // the tick at which it is due, since the epoch of the wheel

  bool armed() const noexcept { return next != nullptr; }
};

static_assert(sizeof(timer_node) == 24, "a million of these lie in the control blocks of fibers");

}  // namespace weft::detail
