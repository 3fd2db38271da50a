// Lets tasks that hold a mutex wait for a condition that others bring about under it.
//
// Every wait gives the mutex up and holds it again when it returns or throws, cancelled or not.
// Tasks are woken in the order in which they came, none without cause. Destroying it while somebody
// waits ends the process with one line.
//
// Threads: fibers of any worker and plain threads, in any mixture; all with the same mutex.
#pragma once

#include <chrono>
#include <concepts>
#include <condition_variable>
#include <mutex>
#include <system_error>

#include <weft/fiber/co/task.hpp>
#include <weft/fiber/detail/co_wait.hpp>
#include <weft/fiber/detail/spin_lock.hpp>
#include <weft/fiber/detail/wait.hpp>
#include <weft/fiber/duration.hpp>
#include <weft/fiber/error.hpp>
#include <weft/fiber/mutex.hpp>

namespace weft {

class condition_variable {
public:
  using time_point = std::chrono::steady_clock::time_point;

  condition_variable() noexcept = default;
  condition_variable(const condition_variable&) = delete;
  condition_variable& operator=(const condition_variable&) = delete;
  ~condition_variable();

  /// Wakes the one who has waited longest, if there is one. Never waits.
  void notify_one() noexcept;
  /// Wakes all who wait.
  void notify_all() noexcept;

  /// Gives `lock`, which the caller must hold, up, waits, and locks it again.
  ///
  /// Waits:  for a notification, then for the mutex.
  /// Ends:   when the caller is cancelled.
  /// Errors: errc::cancelled. `lock` is held all the same.
  void wait(std::unique_lock<mutex>& lock, std::error_code& ec) {
    wait_until(lock, detail::no_deadline, ec);
  }

  /// The same; throws std::system_error where the overload above sets `ec`.
  void wait(std::unique_lock<mutex>& lock);

  /// Waits until `condition()` is true, which is called with `lock` held.
  ///
  /// Waits:  for notifications; if it is true at once, it only counts as a call after which a fiber
  ///         may give way to others, as those of mutex do, here with `lock` held.
  /// Ends:   when the caller is cancelled.
  /// Errors: errc::cancelled.
  template <std::predicate Condition>
  void wait(std::unique_lock<mutex>& lock, Condition condition, std::error_code& ec) {
    wait_until(lock, detail::no_deadline, condition, ec);
  }

  /// The same; throws std::system_error where the overload above sets `ec`.
  template <std::predicate Condition>
  void wait(std::unique_lock<mutex>& lock, Condition condition) {
    wait_until(lock, detail::no_deadline, condition);
  }

  /// As wait(), for at most `duration`; zero or less gives the mutex up once.
  ///
  /// Returns timeout when the time was over first, and with any other error.
  /// Errors: errc::timed_out, errc::cancelled.
  std::cv_status wait_for(std::unique_lock<mutex>& lock, any_duration duration,
                          std::error_code& ec) {
    return wait_until(lock, detail::deadline_after(duration), ec);
  }

  /// The same; throws std::system_error for errors but that the time is over, and when a timeout
  /// around the call has expired.
  std::cv_status wait_for(std::unique_lock<mutex>& lock, any_duration duration) {
    return wait_until(lock, detail::deadline_after(duration));
  }

  /// Waits until `condition()` is true, for at most `duration`.
  ///
  /// Returns whether it is true; if not, `ec` says why the wait has ended.
  /// Errors: errc::timed_out, errc::cancelled.
  template <std::predicate Condition>
  bool wait_for(std::unique_lock<mutex>& lock, any_duration duration, Condition condition,
                std::error_code& ec) {
    return wait_until(lock, detail::deadline_after(duration), condition, ec);
  }

  /// The same; throws std::system_error for errors but that the time is over, and when a timeout
  /// around the call has expired.
  template <std::predicate Condition>
  bool wait_for(std::unique_lock<mutex>& lock, any_duration duration, Condition condition) {
    return wait_until(lock, detail::deadline_after(duration), condition);
  }

  /// As wait_for(), until `deadline`.
  std::cv_status wait_until(std::unique_lock<mutex>& lock, time_point deadline,
                            std::error_code& ec);
  /// The same; throws std::system_error for errors but that the time is over, and when a timeout
  /// around the call has expired.
  std::cv_status wait_until(std::unique_lock<mutex>& lock, time_point deadline);

  /// As wait_for() with a condition, until `deadline`.
  template <std::predicate Condition>
  bool wait_until(std::unique_lock<mutex>& lock, time_point deadline, Condition condition,
                  std::error_code& ec) {
    if (detail::refuse_if_cancelled(ec)) return false;
    if (condition()) {
      detail::spend_budget();
      return true;
    }
    for (;;) {
      wait_until(lock, deadline, ec);
      if (ec == errc::cancelled) return false;
      if (condition()) {
        ec.clear();
        return true;
      }
      if (ec) return false;
    }
  }

  /// The same; throws std::system_error for errors but that the time is over, and when a timeout
  /// around the call has expired.
  template <std::predicate Condition>
  bool wait_until(std::unique_lock<mutex>& lock, time_point deadline, Condition condition) {
    std::error_code ec;
    const bool holds = wait_until(lock, deadline, condition, ec);
    throw_unless_timed_out(ec);
    return holds;
  }

  // ---- for coroutines: as those above without the prefix ----

  co::task<> co_wait(std::unique_lock<mutex>& lock, std::error_code& ec);
  co::task<> co_wait(std::unique_lock<mutex>& lock);

  // With g++ 12 a lambda that captures by value needs a name: see co/task.hpp.
  template <std::predicate Condition>
  co::task<> co_wait(std::unique_lock<mutex>& lock, Condition condition, std::error_code& ec) {
    co_await co_wait_until(lock, detail::no_deadline, std::move(condition), ec);
  }

  template <std::predicate Condition>
  co::task<> co_wait(std::unique_lock<mutex>& lock, Condition condition) {
    co_await co_wait_until(lock, detail::no_deadline, std::move(condition));
  }

  co::task<std::cv_status> co_wait_for(std::unique_lock<mutex>& lock, any_duration duration,
                                       std::error_code& ec) {
    return co_wait_until(lock, detail::deadline_after(duration), ec);
  }

  co::task<std::cv_status> co_wait_for(std::unique_lock<mutex>& lock, any_duration duration) {
    return co_wait_until(lock, detail::deadline_after(duration));
  }

  template <std::predicate Condition>
  co::task<bool> co_wait_for(std::unique_lock<mutex>& lock, any_duration duration,
                             Condition condition, std::error_code& ec) {
    return co_wait_until(lock, detail::deadline_after(duration), std::move(condition), ec);
  }

  template <std::predicate Condition>
  co::task<bool> co_wait_for(std::unique_lock<mutex>& lock, any_duration duration,
                             Condition condition) {
    return co_wait_until(lock, detail::deadline_after(duration), std::move(condition));
  }

  co::task<std::cv_status> co_wait_until(std::unique_lock<mutex>& lock, time_point deadline,
                                         std::error_code& ec);
  co::task<std::cv_status> co_wait_until(std::unique_lock<mutex>& lock, time_point deadline);

  template <std::predicate Condition>
  co::task<bool> co_wait_until(std::unique_lock<mutex>& lock, time_point deadline,
                               Condition condition, std::error_code& ec) {
    if (detail::refuse_coroutine(ec)) {
      co_await detail::co_budget{};
      co_return false;
    }
    if (condition()) {
      ec.clear();
      co_await detail::co_budget{};
      co_return true;
    }
    for (;;) {
      co_await co_wait_until(lock, deadline, ec);
      if (ec == errc::cancelled) co_return false;
      if (condition()) {
        ec.clear();
        co_return true;
      }
      if (ec) co_return false;
    }
  }

  template <std::predicate Condition>
  co::task<bool> co_wait_until(std::unique_lock<mutex>& lock, time_point deadline,
                               Condition condition) {
    std::error_code ec;
    const bool holds = co_await co_wait_until(lock, deadline, std::move(condition), ec);
    throw_unless_timed_out(ec);
    co_return holds;
  }

private:
  detail::waiter* give_up(std::unique_lock<mutex>& lock) noexcept;
  static void throw_unless_timed_out(std::error_code ec);

  detail::spin_lock lock_;  // guards `waiters_`
  detail::wait_list waiters_;
};

}  // namespace weft
