// Something that has happened or has not; tasks wait until it has.
//
// It stays set until it is reset. Destroying it while somebody waits ends the process with one
// line.
//
// Threads: fibers of any worker and plain threads, in any mixture; those block. What was done
// before set() is seen by who has waited, or found it set.
#pragma once

#include <chrono>
#include <system_error>

#include <weft/fiber/detail/atomic.hpp>
#include <weft/fiber/detail/co_wait.hpp>
#include <weft/fiber/detail/spin_lock.hpp>
#include <weft/fiber/detail/wait.hpp>
#include <weft/fiber/duration.hpp>

namespace weft {

class event {
public:
  event() noexcept = default;
  event(const event&) = delete;
  event& operator=(const event&) = delete;
  ~event();

  /// Says that it has happened, and wakes all who wait, even if it is reset before they run.
  /// Setting it again changes nothing.
  void set() noexcept;
  /// Says that it has not happened: who comes now waits.
  void reset() noexcept;

  /// Returns whether it is set.
  bool is_set() const noexcept { return set_.load(std::memory_order_acquire); }

  /// Waits until it is set.
  ///
  /// Waits:  for set(); not if it is set.
  /// Ends:   when the caller is cancelled.
  /// Errors: errc::cancelled.
  void wait(std::error_code& ec) { wait_until(detail::no_deadline, ec); }

  /// The same; throws std::system_error where the overload above sets `ec`.
  void wait();

  /// Waits until it is set, for at most `duration`; zero or less looks once.
  ///
  /// Returns whether it was set; if not, `ec` says why.
  /// Waits:  as wait().
  /// Ends:   after `duration`, or when the caller is cancelled.
  /// Errors: errc::timed_out, errc::cancelled.
  bool wait_for(any_duration duration, std::error_code& ec);
  /// The same; returns false when the time is over, throws std::system_error for other errors and
  /// when a timeout around the call has expired.
  bool wait_for(any_duration duration);

  /// As wait_for(), until `deadline`.
  bool wait_until(std::chrono::steady_clock::time_point deadline, std::error_code& ec);
  /// The same; returns false when the time is over, throws std::system_error for other errors and
  /// when a timeout around the call has expired.
  bool wait_until(std::chrono::steady_clock::time_point deadline);

  // ---- for coroutines: as those above without the prefix ----

  auto co_wait(std::error_code& ec) noexcept { return waiting<false>{*this, detail::error_to{ec}}; }

  auto co_wait() noexcept { return waiting<false>{*this, detail::error_to{"event::wait"}}; }

  auto co_wait_until(std::chrono::steady_clock::time_point deadline, std::error_code& ec) noexcept {
    return waiting<true>{*this, detail::error_to{ec}, deadline};
  }

  auto co_wait_until(std::chrono::steady_clock::time_point deadline) noexcept {
    return waiting<true>{*this, detail::error_to{"event::wait"}, deadline};
  }

  auto co_wait_for(any_duration duration, std::error_code& ec) noexcept {
    return co_wait_until(detail::deadline_after(duration), ec);
  }

  auto co_wait_for(any_duration duration) noexcept {
    return co_wait_until(detail::deadline_after(duration));
  }

private:
  // What a coroutine awaits.
  template <bool Timed>
  class [[nodiscard]] waiting final
      : public detail::co_list_operation<waiting<Timed>, detail::gives_way::after, Timed> {
  public:
    waiting(event& awaited, detail::error_to error,
            detail::deadline_clock::time_point deadline = detail::no_deadline) noexcept
        : detail::co_list_operation<waiting, detail::gives_way::after, Timed>(error, deadline),
          event_(awaited) {}

    bool try_now(std::error_code& /*ec*/) noexcept { return event_.is_set_or_lock(); }

    detail::wait_list& list() noexcept { return event_.waiters_; }

    detail::spin_lock& lock() noexcept { return event_.lock_; }

    void note() const noexcept { detail::note_wait(detail::wait_kind::event, &event_); }

  private:
    event& event_;
  };

  // With the lock held if it is not set.
  bool is_set_or_lock() noexcept;

  // Written under `lock_`. The store in set() pairs with the load in is_set().
  detail::atomic<bool> set_{false};
  detail::spin_lock lock_;  // guards `waiters_`
  detail::wait_list waiters_;
};

}  // namespace weft
