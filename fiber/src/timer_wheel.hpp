// A hierarchical timer wheel: every deadline of one worker, armed and cancelled in constant time.
//
// Threads: none of its own and no locks; one thread at a time, the owner's, may use a wheel and
// its nodes.
//
// Time is counted in ticks of 1 ms since the wheel's epoch; the wheel's own time, in ticks, is its
// position. A level has 64 slots, one for each value of a group of 6 bits of the tick: level 0 for
// the lowest group, level 1 for the next. A node lives at the level of the highest group in which
// its expiry differs from the position. When the position enters a slot of a higher level, the
// nodes of that slot are spread over the levels below. From this follows what the code relies on:
//   - 8 levels hold every tick that fits between two time points, so nothing ever wraps around;
//   - whatever is armed at a level is due before everything at the levels above it;
//   - nodes with the same expiry are always in the same list, in order of arming.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>

#include <weft/fiber/detail/timer_node.hpp>

namespace weft::detail {

class timer_wheel {
public:
  using clock = std::chrono::steady_clock;

  /// Makes an empty wheel. No time that is given to it later should lie before `epoch`; one that
  /// does counts as `epoch`.
  explicit timer_wheel(clock::time_point epoch) noexcept;

  /// Nodes that are still armed are forgotten; they must not be cancelled afterwards.
  ~timer_wheel() = default;
  timer_wheel(const timer_wheel&) = delete;
  timer_wheel& operator=(const timer_wheel&) = delete;

  /// Arms `node` for the first tick at or after `deadline`; an armed node is moved there. What
  /// the last expire() has already passed is due at the next one, before everything else.
  void arm(timer_node& node, clock::time_point deadline) noexcept;

  /// Disarms `node`; does nothing when it is not armed.
  void cancel(timer_node& node) noexcept;

  bool empty() const noexcept { return size_ == 0; }

  /// Returns how many nodes are armed.
  std::size_t size() const noexcept { return size_; }

  /// Returns the earliest moment at which expire() may have something to do: when the first node
  /// is due if that one is at level 0, else when its slot is to be spread over the levels below.
  /// So whoever sleeps until then and calls expire() wakes at most once a level for a node, and
  /// never late. time_point::max() when nothing is armed.
  clock::time_point next_expiry() const noexcept;

  /// Calls `fired(node)` for every node that is due at `now`, in order of expiry and, within a
  /// tick, of arming. Returns how many calls that were. A `now` before that of an earlier call
  /// counts as that one.
  ///
  /// The node is disarmed before the call, which may free it, and may arm and cancel every node,
  /// those of the same batch too. What it arms is never due in the same batch, however early its
  /// deadline, so a batch always ends. `fired` must not throw.
  template <class F>
  std::size_t expire(clock::time_point now, F&& fired) noexcept {
    std::size_t count = 0;
    std::size_t most = std::numeric_limits<std::size_t>::max();
    expire_some(now, most, [&](timer_node& node) {
      ++count;
      fired(node);
    });
    return count;
  }

  /// The same, but makes no more than `most` calls, which it counts down: when that is 0 more may
  /// be due, and the wheel has come as far as the last of them. What was armed too late does not
  /// count, lest it keep the rest from its turn.
  template <class F>
  void expire_some(clock::time_point now, std::size_t& most, F&& fired) noexcept {
    begin_batch(now);
    while (timer_node* const late = take_late()) fired(*late);
    while (most != 0) {
      timer_node* const node = take_due();
      if (node == nullptr) return;
      --most;
      fired(*node);
    }
    horizon_ = position_;
  }

private:
  static constexpr unsigned slot_bits = 6;                   // one bitmap word covers a level
  static constexpr std::size_t levels = 8;                   // 48 bits: all of time_point's 2^64 ns
  static constexpr std::size_t slots = levels << slot_bits;  // list index = level * 64 + slot
  static constexpr std::size_t overdue_list = slots;         // due at the next expire()
  static constexpr std::size_t late_list = slots + 1;        // what was so when the batch began
  static constexpr std::size_t firing_list = slots + 2;      // the rest of the tick being fired
  static constexpr std::size_t special_word = levels;        // those have a bitmap word as well

  std::uint64_t tick_at_or_after(clock::time_point deadline) const noexcept;
  std::uint64_t last_tick_at(clock::time_point now) const noexcept;
  clock::time_point moment_of(std::uint64_t tick) const noexcept;

  std::size_t first_occupied_level() const noexcept;
  std::uint64_t first_tick_of(std::size_t level) const noexcept;
  bool occupied(std::size_t list) const noexcept;
  void link(timer_node& node, std::size_t list) noexcept;
  void unlink(timer_node& node) noexcept;
  void place(timer_node& node) noexcept;
  void append(std::size_t list, std::size_t other) noexcept;
  void spread(std::size_t list) noexcept;
  void begin_batch(clock::time_point now) noexcept;
  timer_node* take_first(std::size_t list) noexcept;
  timer_node* take_late() noexcept;
  timer_node* take_due() noexcept;

  clock::time_point epoch_;
  std::uint64_t position_ = 0;  // everything due before it has been taken out
  std::uint64_t horizon_ = 0;   // the tick of the latest expire(); equals position_ between batches
  std::size_t size_ = 0;
  std::array<std::uint64_t, levels + 1> occupied_{};  // bit set: that list has a node
  // Sentinels of circular lists; `expiry` of a sentinel is its own index.
  std::array<timer_node, slots + 3> lists_;
};

}  // namespace weft::detail
