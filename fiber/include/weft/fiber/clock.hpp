// The time that tasks live by: that of the steady clock, unless their runtime has a virtual clock.
//
// Every deadline of weft is a time point of it. Code that computes deadlines from clock::now() can
// be tested in virtual time. Threads: any.
#pragma once

#include <chrono>

#include <weft/fiber/detail/worker_view.hpp>

namespace weft {

struct clock {
  using duration = std::chrono::steady_clock::duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::steady_clock::time_point;

  static constexpr bool is_steady = true;

  /// Returns the time of the runtime that the caller runs in, on a plain thread that of the steady
  /// clock.
  static time_point now() noexcept {
    const detail::worker_view* const worker = detail::running_worker;
    if (worker == nullptr || worker->virtual_now == nullptr) {
      return std::chrono::steady_clock::now();
    }
    return time_point{std::chrono::nanoseconds{*worker->virtual_now}};
  }
};

}  // namespace weft
