// A lock that parks the fiber that has to wait for it, handed on in the order in which tasks came.
//
// It works with std::lock_guard, unique_lock and scoped_lock. Destroying it while it is held, and
// unlocking it without holding it, ends the process with one line. Who locks a mutex it holds gets
// an error; what a task still holds when it ends stays locked. A fiber that has made 64 calls
// without waiting, here and elsewhere, gives way to the others before it locks or tries to, never
// while it unlocks.
//
// Threads: fibers of any worker and plain threads, in any mixture; those block.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <system_error>

#include <weft/fiber/detail/atomic.hpp>
#include <weft/fiber/detail/co_wait.hpp>
#include <weft/fiber/detail/spin_lock.hpp>
#include <weft/fiber/detail/wait.hpp>
#include <weft/fiber/duration.hpp>

namespace weft {

class mutex {
public:
  mutex() noexcept = default;
  mutex(const mutex&) = delete;
  mutex& operator=(const mutex&) = delete;
  ~mutex();

  /// Locks it. No cancellation point, so that clean-up can lock.
  ///
  /// Waits:  for those who came before to unlock it; not if it is free.
  /// Errors: throws std::errc::resource_deadlock_would_occur if the caller holds it.
  void lock();

  /// Locks it, unless the caller is cancelled.
  ///
  /// Waits:  as lock().
  /// Ends:   when the caller is cancelled.
  /// Errors: errc::cancelled; std::errc::resource_deadlock_would_occur if the caller holds it. With
  ///         an error it has not been locked.
  void lock(std::error_code& ec);

  /// Locks it if it is free, and returns whether it did. No cancellation point; never waits, but
  /// may give way first, see above.
  bool try_lock() noexcept;

  /// Locks it within `duration`; one of zero or less tries once.
  ///
  /// Returns whether it did; if not, `ec` says why.
  /// Waits:  as lock().
  /// Ends:   after `duration`, or when the caller is cancelled.
  /// Errors: errc::timed_out and those of lock(ec).
  bool try_lock_for(any_duration duration, std::error_code& ec);
  /// The same; returns false when the time is over, throws std::system_error for other errors and
  /// when a timeout around the call has expired.
  bool try_lock_for(any_duration duration);

  /// As try_lock_for(), until `deadline`.
  bool try_lock_until(std::chrono::steady_clock::time_point deadline, std::error_code& ec);
  /// The same; returns false when the time is over, throws std::system_error for other errors and
  /// when a timeout around the call has expired.
  bool try_lock_until(std::chrono::steady_clock::time_point deadline);

  // ---- for coroutines: as those above without the prefix ----

  auto co_lock() noexcept {
    return locking<false>{*this, detail::error_to{"mutex::lock"}, detail::no_deadline,
                          detail::cancellation::ignored};
  }

  auto co_lock(std::error_code& ec) noexcept { return locking<false>{*this, detail::error_to{ec}}; }

  auto co_try_lock_until(std::chrono::steady_clock::time_point deadline,
                         std::error_code& ec) noexcept {
    return locking<true>{*this, detail::error_to{ec}, deadline};
  }

  auto co_try_lock_until(std::chrono::steady_clock::time_point deadline) noexcept {
    return locking<true>{*this, detail::error_to{"mutex::try_lock"}, deadline};
  }

  auto co_try_lock_for(any_duration duration, std::error_code& ec) noexcept {
    return co_try_lock_until(detail::deadline_after(duration), ec);
  }

  auto co_try_lock_for(any_duration duration) noexcept {
    return co_try_lock_until(detail::deadline_after(duration));
  }

  /// As co_lock(); returns a std::unique_lock that holds it.
  auto co_scoped_lock() noexcept { return scoped_locking{*this}; }

  // ---- unlocking ----

  /// Unlocks it, which the caller must hold, and hands it to the one who has waited longest. No
  /// cancellation point.
  void unlock() noexcept;

private:
  friend class condition_variable;

  static constexpr std::uintptr_t contended = 1;

  // What a coroutine awaits.
  template <bool Timed>
  class [[nodiscard]] locking
      : public detail::co_list_operation<locking<Timed>, detail::gives_way::before, Timed> {
  public:
    locking(mutex& wanted, detail::error_to error,
            detail::deadline_clock::time_point deadline = detail::no_deadline,
            detail::cancellation mode = detail::cancellation::honoured) noexcept
        : detail::co_list_operation<locking, detail::gives_way::before, Timed>(error, deadline,
                                                                               mode),
          mutex_(wanted) {}

    bool try_now(std::error_code& ec) noexcept { return mutex_.take_or_lock(ec); }

    detail::wait_list& list() noexcept { return mutex_.waiters_; }

    detail::spin_lock& lock() noexcept { return mutex_.lock_; }

    void note() const noexcept { detail::note_wait(detail::wait_kind::mutex, &mutex_); }

  protected:
    mutex& mutex_;
  };

  class [[nodiscard]] scoped_locking final : public locking<false> {
  public:
    using returns_a_lock = void;

    explicit scoped_locking(mutex& wanted) noexcept
        : locking(wanted, detail::error_to{"mutex::lock"}, detail::no_deadline,
                  detail::cancellation::ignored) {}

    [[nodiscard]] std::unique_lock<mutex> await_resume() const {
      locking::await_resume();
      return std::unique_lock{mutex_, std::adopt_lock};
    }
  };

  // With `lock_` held, and word left that somebody waits, if it is another's. True with an error,
  // too.
  bool take_or_lock(std::error_code& ec) noexcept;
  bool take_or_leave_word(std::uintptr_t task, std::error_code& ec) noexcept;
  bool take_if_free(std::uintptr_t task) noexcept;
  void lock_contended(std::uintptr_t task, std::chrono::steady_clock::time_point deadline,
                      detail::cancellation mode, std::error_code& ec);
  void lock_until(std::chrono::steady_clock::time_point deadline, std::error_code& ec);
  // Unlocks it; returns whom the caller has to resume, or null.
  detail::waiter* release() noexcept;
  detail::waiter* hand_on(std::uintptr_t task) noexcept;

  // The address of the waiter of the task that holds it, 0 if none does; `contended` when there may
  // be waiters, which is set and cleared under `lock_`. The exchanges and stores that unlock or
  // hand on release what those that lock acquire.
  detail::atomic<std::uintptr_t> holder_{0};
  detail::spin_lock lock_;  // guards `waiters_`
  detail::wait_list waiters_;
};

}  // namespace weft
