// A count of what is free, of which tasks take one and wait while there is none, first come, first
// served.
//
// A wait that was cancelled or timed out takes nothing. Destroying it while somebody waits ends the
// process with one line.
//
// Threads: fibers of any worker and plain threads, in any mixture; those block.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <system_error>

#include <weft/fiber/detail/co_wait.hpp>
#include <weft/fiber/detail/spin_lock.hpp>
#include <weft/fiber/detail/wait.hpp>
#include <weft/fiber/duration.hpp>

namespace weft {

class semaphore {
public:
  /// The highest count.
  static constexpr std::size_t max = SIZE_MAX / 2;

  /// `count` are free; more than `max` ends the process.
  explicit semaphore(std::size_t count = 0) noexcept;
  semaphore(const semaphore&) = delete;
  semaphore& operator=(const semaphore&) = delete;
  ~semaphore();

  /// Takes one.
  ///
  /// Waits:  for one to be free, and for those who came before; not if one is free.
  /// Ends:   when the caller is cancelled.
  /// Errors: errc::cancelled. With an error nothing has been taken.
  void acquire(std::error_code& ec) { acquire_until(detail::no_deadline, ec); }

  /// The same; throws std::system_error where the overload above sets `ec`.
  void acquire();

  /// Takes one if it is free, and returns whether it did. No cancellation point; never waits, but a
  /// fiber that has made 64 calls without waiting gives way first.
  bool try_acquire() noexcept;

  /// Takes one within `duration`; zero or less tries once.
  ///
  /// Returns whether it did; if not, `ec` says why.
  /// Waits:  as acquire().
  /// Ends:   after `duration`, or when the caller is cancelled.
  /// Errors: errc::timed_out, errc::cancelled.
  bool try_acquire_for(any_duration duration, std::error_code& ec);
  /// The same; returns false when the time is over, throws std::system_error for other errors and
  /// when a timeout around the call has expired.
  bool try_acquire_for(any_duration duration);

  /// As try_acquire_for(), until `deadline`.
  bool try_acquire_until(std::chrono::steady_clock::time_point deadline, std::error_code& ec);
  /// The same; returns false when the time is over, throws std::system_error for other errors and
  /// when a timeout around the call has expired.
  bool try_acquire_until(std::chrono::steady_clock::time_point deadline);

  // ---- for coroutines: as those above without the prefix ----

  auto co_acquire(std::error_code& ec) noexcept {
    return acquiring<false>{*this, detail::error_to{ec}};
  }

  auto co_acquire() noexcept {
    return acquiring<false>{*this, detail::error_to{"semaphore::acquire"}};
  }

  auto co_try_acquire_until(std::chrono::steady_clock::time_point deadline,
                            std::error_code& ec) noexcept {
    return acquiring<true>{*this, detail::error_to{ec}, deadline};
  }

  auto co_try_acquire_until(std::chrono::steady_clock::time_point deadline) noexcept {
    return acquiring<true>{*this, detail::error_to{"semaphore::try_acquire"}, deadline};
  }

  auto co_try_acquire_for(any_duration duration, std::error_code& ec) noexcept {
    return co_try_acquire_until(detail::deadline_after(duration), ec);
  }

  auto co_try_acquire_for(any_duration duration) noexcept {
    return co_try_acquire_until(detail::deadline_after(duration));
  }

  // ---- giving ----

  /// Gives `count` back, first to those who wait. Never waits, no cancellation point. More than
  /// `max` free ends the process.
  void release(std::size_t count = 1) noexcept;

  /// Returns how many are free at the moment.
  std::size_t available() const noexcept;

private:
  // What a coroutine awaits.
  template <bool Timed>
  class [[nodiscard]] acquiring final
      : public detail::co_list_operation<acquiring<Timed>, detail::gives_way::before, Timed> {
  public:
    acquiring(semaphore& from, detail::error_to error,
              detail::deadline_clock::time_point deadline = detail::no_deadline) noexcept
        : detail::co_list_operation<acquiring, detail::gives_way::before, Timed>(error, deadline),
          semaphore_(from) {}

    bool try_now(std::error_code& /*ec*/) noexcept { return semaphore_.take_or_lock(); }

    detail::wait_list& list() noexcept { return semaphore_.waiters_; }

    detail::spin_lock& lock() noexcept { return semaphore_.lock_; }

    void note() const noexcept { detail::note_wait(detail::wait_kind::semaphore, &semaphore_); }

  private:
    semaphore& semaphore_;
  };

  // With the lock held if none is free.
  bool take_or_lock() noexcept;
  void acquire_until(std::chrono::steady_clock::time_point deadline, std::error_code& ec);

  mutable detail::spin_lock lock_;  // guards what follows
  detail::wait_list waiters_;
  std::size_t count_;  // 0 while somebody waits
};

}  // namespace weft
