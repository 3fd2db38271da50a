// A clock for tests: time stands still while fibers run, and jumps when all of them wait.
//
//     weft::testing::virtual_clock time;
//     weft::runtime rt{{.clock = &time}};
//     rt.run([] { weft::this_fiber::sleep_for(24h); });   // ends at once
//
// The time of the runtime is then this clock's, for sleeps, timeouts and weft::clock. When no fiber
// can run and the driver has nothing to report at once, it jumps to the next deadline. With nothing
// to jump to the runtime waits in real time, for descriptors and other threads.
//
// Threads: one runtime uses it, of one worker; everything by its fibers, or while it does not run.
#pragma once

#include <chrono>
#include <cstdint>

#include <weft/fiber/clock.hpp>
#include <weft/fiber/duration.hpp>

namespace weft {
class runtime;

namespace detail {
class scheduler;
}
}  // namespace weft

namespace weft::testing {

/// Who moves a virtual clock.
enum class time_moves {
  when_all_wait,  ///< it jumps to the next deadline
  by_hand,        ///< only advance() does
};

class virtual_clock {
public:
  /// A clock that shows the time of the steady clock at this moment.
  explicit virtual_clock(time_moves how = time_moves::when_all_wait) noexcept;
  virtual_clock(const virtual_clock&) = delete;
  virtual_clock& operator=(const virtual_clock&) = delete;

  clock::time_point now() const noexcept {
    return clock::time_point{std::chrono::nanoseconds{now_}};
  }

  /// Returns how far it has moved since its construction.
  std::chrono::nanoseconds elapsed() const noexcept {
    return std::chrono::nanoseconds{now_ - start_};
  }

  /// Moves it forward, by nothing for a negative length. What is due by then happens once the
  /// calling fiber parks or yields.
  void advance(any_duration length) noexcept;

private:
  friend class detail::scheduler;

  void advance_to(clock::time_point moment) noexcept;

  std::int64_t now_;  // nanoseconds since the epoch of the steady clock
  const std::int64_t start_;
  const time_moves how_;
};

}  // namespace weft::testing
