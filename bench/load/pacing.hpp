// When the messages of an open loop are to start.
//
// Message i of the whole load is to start at `begin` + i / rate, on connection i modulo their
// number; a client process has a range of the connections. The plan never slips: a message that
// cannot be sent in time keeps its intended start, and its latency counts from there, so a server
// that stalls is charged for all that it kept waiting (no coordinated omission).
//
// Threads: one owner, the loop of a client process.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "event_queue.hpp"

namespace weft::load {

class pacer {
public:
  /// Plans for the `count` connections from number `first` on, out of `all`.
  pacer(double rate, std::uint32_t all, std::uint32_t first, std::uint32_t count,
        time_point begin) noexcept
      : interval_(1e9 / rate), all_(all), first_(first), count_(count), begin_(begin) {}

  /// Returns when the message `round` (from 0) of the connection `index` (from 0) is to start.
  time_point intended(std::uint32_t index, std::uint64_t round) const noexcept {
    const std::uint64_t message = round * all_ + first_ + index;
    return begin_ + std::chrono::nanoseconds(
                        static_cast<std::int64_t>(static_cast<double>(message) * interval_));
  }

  /// Returns which connection has the next message to start, and when that is.
  std::uint32_t next_index() const noexcept { return index_; }

  time_point next_time() const noexcept { return intended(index_, round_); }

  /// Goes on to the message after that.
  void advance() noexcept {
    if (++index_ < count_) return;
    index_ = 0;
    ++round_;
  }

  /// Goes on to the last two rounds that begin before `until`, when those are further on: a message
  /// of an earlier round counts as passed without advance(), for one of the same connection
  /// follows. So the cost of being behind does not grow with the rate. Two, for advance() then
  /// still comes to every connection.
  void skip_rounds(time_point until) noexcept {
    const std::uint64_t due = rounds_before(index_, until);
    if (due > round_ + 2) round_ = due - 2;
  }

  /// Returns how many messages of the connection `index` are to start before `when`.
  std::uint64_t rounds_before(std::uint32_t index, time_point when) const noexcept {
    if (when <= begin_) return 0;
    const auto passed = static_cast<double>(std::chrono::nanoseconds(when - begin_).count());
    const double messages = passed / interval_ - static_cast<double>(first_ + index);
    auto rounds = static_cast<std::uint64_t>(std::max(messages / all_, 0.0));
    // The division is inexact; intended() decides.
    while (rounds > 0 && intended(index, rounds - 1) >= when) --rounds;
    while (intended(index, rounds) < when) ++rounds;
    return rounds;
  }

  /// Returns the nanoseconds between two messages of a connection.
  double period() const noexcept { return interval_ * all_; }

  /// Returns how many messages of the connection `index` advance() has passed.
  std::uint64_t rounds_due(std::uint32_t index) const noexcept {
    return round_ + (index < index_ ? 1 : 0);
  }

private:
  double interval_;  // nanoseconds
  std::uint32_t all_;
  std::uint32_t first_;
  std::uint32_t count_;
  time_point begin_;
  std::uint32_t index_ = 0;
  std::uint64_t round_ = 0;
};

}  // namespace weft::load
