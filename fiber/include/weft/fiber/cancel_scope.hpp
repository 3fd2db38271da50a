// Cancel scopes: a block of code whose waits can be ended from outside, or by a deadline.
//
// A scope belongs to the task that creates it, a fiber or a plain thread, from its construction to
// its destruction; scopes nest. Once a scope is cancelled, every wait inside it fails, the one
// under way and all that follow, before it transfers anything; that is how the code is led out of
// it. With scopes inside each other the outermost that is cancelled says why: errc::cancelled, or
// errc::timed_out if its deadline has passed. No wait of a destructor of weft's own, no unlock and
// no plain mutex::lock() fails.
//
// A deadline that passes while a fiber computes is noticed when its worker polls next: at the
// latest after 64 calls of the fiber that need not wait, each of which may still succeed; a plain
// thread notices it at once. timeout::expired() looks at the clock itself. Cancelled by another
// thread, the calls fail as soon as request_cancel() has returned.
//
//     weft::timeout limit{2s};
//     auto data = peer.read_some(buffer);   // throws std::system_error, errc::timed_out
//
// Threads: request_cancel() from any thread, for a scope that exists until the call has returned,
// or until its task has seen that this very call has cancelled it, and leaves; the rest by its
// task.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <stop_token>
#include <system_error>
#include <type_traits>
#include <utility>

#include <weft/fiber/detail/scope.hpp>
#include <weft/fiber/duration.hpp>
#include <weft/fiber/error.hpp>

namespace weft {

namespace co {
template <class T>
class task;
}

namespace detail {
// A call that returns this has not run yet.
template <class Result>
inline constexpr bool is_coroutine_to_run = false;
template <class T>
inline constexpr bool is_coroutine_to_run<co::task<T>> = true;
}  // namespace detail

class cancel_scope {
public:
  /// Enters a scope.
  cancel_scope() : cancel_scope(shielding::none) {}

  /// Enters a scope that is cancelled when `token` is asked to stop, or at once if it has been.
  explicit cancel_scope(std::stop_token token) : cancel_scope() {
    bridge_.emplace(std::move(token), canceller{this});
  }

  cancel_scope(const cancel_scope&) = delete;
  cancel_scope& operator=(const cancel_scope&) = delete;

  /// Leaves the scope, which must be the innermost one of the task.
  ~cancel_scope() {
    bridge_.reset();
    detail::leave_scope(state_);
  }

  /// Cancels the scope: the waits inside it fail from now on. Again, or after its deadline, changes
  /// nothing.
  void request_cancel() noexcept { detail::cancel_scope_for(state_, detail::verdict::cancelled); }

  /// Whether this scope itself was cancelled, or its deadline has passed.
  bool cancel_requested() const noexcept {
    return state_.own.load(std::memory_order_acquire) != detail::verdict::none;
  }

protected:
  enum class shielding : bool { none, on };

  explicit cancel_scope(shielding kind) {
    state_.shielded = kind == shielding::on;
    detail::enter_scope(state_);
  }

  mutable detail::scope_state state_;  // const calls may notice that it has expired

private:
  struct canceller {
    cancel_scope* scope;

    void operator()() const noexcept { scope->request_cancel(); }
  };

  std::optional<std::stop_callback<canceller>> bridge_;
};

/// A scope in which the cancellation of the scopes around it, and of the fiber, does not count: for
/// the few waits that an orderly end needs. It can be cancelled itself.
class shield : public cancel_scope {
public:
  shield() : cancel_scope(shielding::on) {}
};

/// A scope with a deadline, after which the waits inside it fail with errc::timed_out.
class timeout : public cancel_scope {
public:
  using clock = std::chrono::steady_clock;

  /// Expires `length` from now; at once for zero or less.
  explicit timeout(any_duration length) { expire_after(length); }

  explicit timeout(clock::time_point deadline) { expire_at(deadline); }

  /// Moves the deadline, at any time. A timeout that has expired stays so.
  void expire_after(any_duration length) noexcept;

  /// The same; time_point::max() is no deadline.
  void expire_at(clock::time_point deadline) noexcept;

  clock::time_point deadline() const noexcept { return state_.deadline; }

  /// Whether the deadline has passed before the scope was cancelled; by the clock, so that code
  /// that does not wait may ask it.
  bool expired() const noexcept { return detail::has_expired(state_); }
};

/// Calls `function()` in a timeout of that length and returns what it returns.
///
/// Errors: what it throws; that is std::system_error with errc::timed_out when a wait inside it met
///         the deadline.
template <class Function>
std::invoke_result_t<Function> with_timeout(any_duration length, Function&& function) {
  static_assert(!detail::is_coroutine_to_run<std::invoke_result_t<Function>>,
                "the timeout would be over before the coroutine runs: use co::with_timeout()");
  const timeout limit{length};
  return std::invoke(std::forward<Function>(function));
}

/// Calls `function()` in a timeout of that length and gives up when it expires: returns an optional
/// of what the function returned, which is no reference (true, for one that returns nothing), empty
/// (false) if errc::timed_out left it because of this timeout.
///
/// Errors: everything else that it throws, the timeout or cancellation of an enclosing scope too.
template <class Function>
auto move_on_after(any_duration length, Function&& function) {
  using result = std::invoke_result_t<Function>;
  static_assert(!detail::is_coroutine_to_run<result>,
                "the timeout would be over before the coroutine runs: use co::move_on_after()");
  bool expired = false;
  try {
    const timeout limit{length};
    try {
      if constexpr (std::is_void_v<result>) {
        std::invoke(std::forward<Function>(function));
        return true;
      } else {
        return std::optional<result>{std::invoke(std::forward<Function>(function))};
      }
    } catch (const std::system_error& error) {
      expired = error.code() == errc::timed_out && limit.expired();
      throw;
    }
  } catch (const std::system_error&) {
    if (!expired) throw;
    detail::throw_if_cancelled("move_on_after");  // around it, meanwhile
  }
  if constexpr (std::is_void_v<result>) {
    return false;
  } else {
    return std::optional<result>{};
  }
}

}  // namespace weft
