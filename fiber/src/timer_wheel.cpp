#include "timer_wheel.hpp"

#include <bit>

namespace weft::detail {
namespace {

using duration = timer_wheel::clock::duration;

constexpr std::uint64_t tick =
    static_cast<std::uint64_t>(duration(std::chrono::milliseconds(1)).count());

// The distance of two time points fits in 64 bits without a sign, but not with one.
std::uint64_t distance(timer_wheel::clock::time_point from,
                       timer_wheel::clock::time_point to) noexcept {
  if (to <= from) return 0;
  return static_cast<std::uint64_t>(to.time_since_epoch().count()) -
         static_cast<std::uint64_t>(from.time_since_epoch().count());
}

constexpr std::uint64_t bit_of(std::size_t list) noexcept {
  return std::uint64_t{1} << (list % 64);
}

}  // namespace

timer_wheel::timer_wheel(clock::time_point epoch) noexcept : epoch_(epoch) {
  static_assert((std::uint64_t{1} << (slot_bits * levels)) > UINT64_MAX / tick,
                "the levels hold every tick between two time points");
  for (std::size_t i = 0; i < lists_.size(); ++i) {
    lists_[i].next = lists_[i].previous = &lists_[i];
    lists_[i].expiry = i;
  }
}

void timer_wheel::arm(timer_node& node, clock::time_point deadline) noexcept {
  cancel(node);
  ++size_;
  const std::uint64_t due = tick_at_or_after(deadline);
  if (due > horizon_) {
    node.expiry = due;
    place(node);
  } else {
    node.expiry = horizon_;
    link(node, overdue_list);
  }
}

void timer_wheel::cancel(timer_node& node) noexcept {
  if (!node.armed()) return;
  unlink(node);
  --size_;
}

timer_wheel::clock::time_point timer_wheel::next_expiry() const noexcept {
  if (occupied_[special_word] != 0) return moment_of(position_);
  const std::size_t level = first_occupied_level();
  if (level == levels) return clock::time_point::max();
  return moment_of(first_tick_of(level));
}

std::uint64_t timer_wheel::tick_at_or_after(clock::time_point deadline) const noexcept {
  const std::uint64_t elapsed = distance(epoch_, deadline);
  return elapsed / tick + (elapsed % tick != 0 ? 1 : 0);
}

// The end of time completes the tick that it cuts off, so that even what is armed for
// time_point::max() is due once.
std::uint64_t timer_wheel::last_tick_at(clock::time_point now) const noexcept {
  if (now == clock::time_point::max()) return tick_at_or_after(now);
  return distance(epoch_, now) / tick;
}

timer_wheel::clock::time_point timer_wheel::moment_of(std::uint64_t ticks) const noexcept {
  const std::uint64_t representable = distance(epoch_, clock::time_point::max()) / tick;
  if (ticks > representable) return clock::time_point::max();
  const auto since = static_cast<std::uint64_t>(epoch_.time_since_epoch().count()) + ticks * tick;
  return clock::time_point(duration(static_cast<duration::rep>(since)));
}

std::size_t timer_wheel::first_occupied_level() const noexcept {
  std::size_t level = 0;
  while (level < levels && occupied_[level] == 0) ++level;
  return level;
}

// Only slots at or after the position are ever occupied, so the lowest bit is the next one.
std::uint64_t timer_wheel::first_tick_of(std::size_t level) const noexcept {
  const auto slot = static_cast<std::uint64_t>(std::countr_zero(occupied_[level]));
  const std::size_t shift = level * slot_bits;
  const std::uint64_t below = (std::uint64_t{1} << (shift + slot_bits)) - 1;
  return (position_ & ~below) | (slot << shift);
}

bool timer_wheel::occupied(std::size_t list) const noexcept {
  return (occupied_[list / 64] & bit_of(list)) != 0;
}

void timer_wheel::link(timer_node& node, std::size_t list) noexcept {
  timer_node& sentinel = lists_[list];
  node.next = &sentinel;
  node.previous = sentinel.previous;
  sentinel.previous->next = &node;
  sentinel.previous = &node;
  occupied_[list / 64] |= bit_of(list);
}

void timer_wheel::unlink(timer_node& node) noexcept {
  timer_node* const next = node.next;
  timer_node* const previous = node.previous;
  next->previous = previous;
  previous->next = next;
  // Both neighbours are the same one only where the sentinel alone is left.
  if (next == previous) occupied_[next->expiry / 64] &= ~bit_of(next->expiry);
  node.next = node.previous = nullptr;
}

void timer_wheel::place(timer_node& node) noexcept {
  const std::uint64_t difference = (node.expiry ^ position_) | 1;
  const auto level = static_cast<std::size_t>(std::bit_width(difference) - 1) / slot_bits;
  const std::uint64_t slot = (node.expiry >> (level * slot_bits)) % 64;
  link(node, (level << slot_bits) | slot);
}

// What is in `list` goes to the end of `other`.
void timer_wheel::append(std::size_t list, std::size_t other) noexcept {
  timer_node& from = lists_[list];
  timer_node& to = lists_[other];
  from.next->previous = to.previous;
  to.previous->next = from.next;
  from.previous->next = &to;
  to.previous = from.previous;
  from.next = from.previous = &from;
  occupied_[list / 64] &= ~bit_of(list);
  occupied_[other / 64] |= bit_of(other);
}

// From front to back, for the order of arming must survive.
void timer_wheel::spread(std::size_t list) noexcept {
  timer_node& sentinel = lists_[list];
  timer_node* node = sentinel.next;
  sentinel.next = sentinel.previous = &sentinel;
  occupied_[list / 64] &= ~bit_of(list);
  while (node != &sentinel) {
    timer_node* const next = node->next;
    place(*node);
    node = next;
  }
}

void timer_wheel::begin_batch(clock::time_point now) noexcept {
  const std::uint64_t reached = last_tick_at(now);
  if (reached > horizon_) horizon_ = reached;
  if (occupied(overdue_list)) append(overdue_list, late_list);
}

// Of a list that is not empty.
timer_node* timer_wheel::take_first(std::size_t list) noexcept {
  timer_node* const node = lists_[list].next;
  cancel(*node);
  __builtin_prefetch(lists_[list].next);  // while the caller does something about this one
  return node;
}

timer_node* timer_wheel::take_late() noexcept {
  return occupied(late_list) ? take_first(late_list) : nullptr;
}

timer_node* timer_wheel::take_due() noexcept {
  while (!occupied(firing_list)) {
    const std::size_t level = first_occupied_level();
    if (level == levels || first_tick_of(level) > horizon_) {
      position_ = horizon_;  // enters no occupied slot, so every node stays where it belongs
      return nullptr;
    }
    const auto slot = static_cast<std::size_t>(std::countr_zero(occupied_[level]));
    const std::size_t list = (level << slot_bits) | slot;
    position_ = first_tick_of(level);
    if (level == 0) {
      append(list, firing_list);
    } else {
      spread(list);
    }
  }
  return take_first(firing_list);
}

}  // namespace weft::detail
