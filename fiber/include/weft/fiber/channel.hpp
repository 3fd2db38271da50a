// Carries values from tasks that send to tasks that receive, each value to one of them, in order.
//
//     weft::channel<std::string> lines{16};            // holds 16; 0: hands over; or unbounded
//     auto reader = weft::spawn([&] {
//       while (auto line = lines.receive()) print(*line);  // empty once closed and drained
//     });
//     lines.send("first");
//     lines.close();
//
// Both sides are served in the order in which they came. A call that ends with an error, cancelled,
// timed out or closed, has moved no T: the value is where it was. Values are moved under a spin
// lock, so that moving and destroying a T must not wait. An exception of T's move ends the call
// that made it; the other side waits on, and a value in the channel stays there. Only if it is the
// move of a value that waits into room that a receiver has made, it ends the send instead, and the
// room is for the next. What a coroutine receives is moved once more on its way to it; if that move
// throws the value is gone. Destroying a channel while somebody waits ends the process with a line;
// values in it are destroyed.
//
// Threads: fibers of any worker and plain threads, in any mixture; those block.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>

#include <weft/fiber/detail/channel_core.hpp>
#include <weft/fiber/detail/value_queue.hpp>
#include <weft/fiber/duration.hpp>
#include <weft/fiber/error.hpp>

namespace weft {

template <std::move_constructible T>
class channel {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// The capacity of a channel whose senders never wait.
  static constexpr std::size_t unbounded = SIZE_MAX;

  /// A channel that holds up to `capacity` values. With 0 a sender waits until a receiver takes the
  /// value from its hands.
  explicit channel(std::size_t capacity = 0) noexcept : capacity_(capacity) {}

  /// Sends `value`, which is moved from only if that succeeds; one of another type is converted
  /// first, and what was moved into the T is gone with it if that fails.
  ///
  /// Waits:  for room or a receiver; not if there is one.
  /// Ends:   when the channel is closed, or the caller is cancelled.
  /// Errors: errc::closed, errc::cancelled; throws std::bad_alloc and what T's move throws.
  template <class U = T>
    requires std::constructible_from<T, U>
  void send(U&& value, std::error_code& ec) {
    send_until(std::forward<U>(value), detail::no_deadline, ec);
  }

  /// The same; throws std::system_error where the overload above sets `ec`.
  template <class U = T>
    requires std::constructible_from<T, U>
  void send(U&& value) {
    const auto ended = put_until(std::forward<U>(value), detail::no_deadline);
    if (ended != detail::wake_reason::ready) detail::throw_error_of(ended, "channel::send");
  }

  /// Sends `value` if there is room or a receiver at once, and returns whether it did; false for a
  /// closed channel. No cancellation point; never waits, but a fiber that has made 64 calls without
  /// waiting gives way first.
  template <class U = T>
    requires std::constructible_from<T, U>
  bool try_send(U&& value) {
    return with_value(std::forward<U>(value), [this](T& sent) {
      detail::spend_budget();
      detail::channel_access held{core_};
      return put(held, sent) == detail::channel_attempt::done;
    });
  }

  /// Sends `value` within `duration`; zero or less tries once.
  ///
  /// Returns whether it did; if not, `ec` says why.
  /// Waits:  as send().
  /// Ends:   after `duration`, or as send().
  /// Errors: errc::timed_out and those of send().
  template <class U = T>
    requires std::constructible_from<T, U>
  bool send_for(U&& value, any_duration duration, std::error_code& ec) {
    return send_until(std::forward<U>(value), detail::deadline_after(duration), ec);
  }

  /// The same; returns false when the time is over, throws std::system_error for other errors and
  /// when a timeout around the call has expired.
  template <class U = T>
    requires std::constructible_from<T, U>
  bool send_for(U&& value, any_duration duration) {
    return send_until(std::forward<U>(value), detail::deadline_after(duration));
  }

  /// As send_for(), until `deadline`.
  template <class U = T>
    requires std::constructible_from<T, U>
  bool send_until(U&& value, time_point deadline, std::error_code& ec) {
    const auto ended = put_until(std::forward<U>(value), deadline);
    detail::set_error_of(ended, ec);
    return ended == detail::wake_reason::ready;
  }

  /// The same; returns false when the time is over, throws std::system_error for other errors and
  /// when a timeout around the call has expired.
  template <class U = T>
    requires std::constructible_from<T, U>
  bool send_until(U&& value, time_point deadline) {
    std::error_code ec;
    if (send_until(std::forward<U>(value), deadline, ec)) return true;
    detail::throw_unless_own_deadline(ec, "channel::send");
    return false;
  }

  /// Receives a value.
  ///
  /// Returns it; none, without an error, once the channel is closed and what it held has been
  /// received.
  /// Waits:  for a value; not if there is one.
  /// Ends:   when the channel is closed, or the caller is cancelled.
  /// Errors: errc::cancelled; throws what T's move throws.
  std::optional<T> receive(std::error_code& ec) { return receive_until(detail::no_deadline, ec); }

  /// The same; throws std::system_error where the overload above sets `ec`.
  std::optional<T> receive() {
    std::optional<T> result;
    const auto ended = take_until(result, detail::no_deadline);
    if (ended != detail::wake_reason::ready) detail::throw_error_of(ended, "channel::receive");
    return result;
  }

  /// Receives a value if there is one at once. No cancellation point; never waits, but gives way as
  /// try_send().
  std::optional<T> try_receive() {
    detail::spend_budget();
    std::optional<T> result;
    detail::channel_access held{core_};
    take(held, result);
    return result;
  }

  /// Receives a value within `duration`; zero or less tries once.
  ///
  /// Returns it; none with `ec` set, and none without an error, as receive().
  /// Waits:  as receive().
  /// Ends:   after `duration`, or as receive().
  /// Errors: errc::timed_out and those of receive().
  std::optional<T> receive_for(any_duration duration, std::error_code& ec) {
    return receive_until(detail::deadline_after(duration), ec);
  }

  /// The same; returns none when the time is over, throws std::system_error for other errors and
  /// when a timeout around the call has expired.
  std::optional<T> receive_for(any_duration duration) {
    return receive_until(detail::deadline_after(duration));
  }

  /// As receive_for(), until `deadline`.
  std::optional<T> receive_until(time_point deadline, std::error_code& ec) {
    std::optional<T> result;
    detail::set_error_of(take_until(result, deadline), ec);
    return result;
  }

  /// The same; returns none when the time is over, throws std::system_error for other errors and
  /// when a timeout around the call has expired.
  std::optional<T> receive_until(time_point deadline) {
    std::error_code ec;
    std::optional<T> result = receive_until(deadline, ec);
    detail::throw_unless_own_deadline(ec, "channel::receive");
    return result;
  }

  // ---- for coroutines: as those above without the prefix ----

  // With g++ 12 an aggregate needs a name: `co_send(std::move(message))`. See co/task.hpp.
  template <class U = T>
    requires std::constructible_from<T, U>
  auto co_send(U&& value, std::error_code& ec) {
    return sending<U, false>{*this, std::forward<U>(value), detail::error_to{ec}};
  }

  template <class U = T>
    requires std::constructible_from<T, U>
  auto co_send(U&& value) {
    return sending<U, false>{*this, std::forward<U>(value), detail::error_to{"channel::send"}};
  }

  template <class U = T>
    requires std::constructible_from<T, U>
  auto co_send_until(U&& value, time_point deadline, std::error_code& ec) {
    return sending<U, true>{*this, std::forward<U>(value), detail::error_to{ec}, deadline};
  }

  template <class U = T>
    requires std::constructible_from<T, U>
  auto co_send_until(U&& value, time_point deadline) {
    return sending<U, true>{*this, std::forward<U>(value), detail::error_to{"channel::send"},
                            deadline};
  }

  template <class U = T>
    requires std::constructible_from<T, U>
  auto co_send_for(U&& value, any_duration duration, std::error_code& ec) {
    return co_send_until(std::forward<U>(value), detail::deadline_after(duration), ec);
  }

  template <class U = T>
    requires std::constructible_from<T, U>
  auto co_send_for(U&& value, any_duration duration) {
    return co_send_until(std::forward<U>(value), detail::deadline_after(duration));
  }

  auto co_receive(std::error_code& ec) noexcept {
    return receiving<false>{*this, detail::error_to{ec}};
  }

  auto co_receive() noexcept {
    return receiving<false>{*this, detail::error_to{"channel::receive"}};
  }

  auto co_receive_until(time_point deadline, std::error_code& ec) noexcept {
    return receiving<true>{*this, detail::error_to{ec}, deadline};
  }

  auto co_receive_until(time_point deadline) noexcept {
    return receiving<true>{*this, detail::error_to{"channel::receive"}, deadline};
  }

  auto co_receive_for(any_duration duration, std::error_code& ec) noexcept {
    return co_receive_until(detail::deadline_after(duration), ec);
  }

  auto co_receive_for(any_duration duration) noexcept {
    return co_receive_until(detail::deadline_after(duration));
  }

  // ---- closing, and what there is ----

  /// Closes it: nothing can be sent any more, who waits to send is refused, and receivers get what
  /// it holds and then none. Closing it again changes nothing. Never waits.
  void close() noexcept { core_.close(); }

  /// Returns whether it has been closed; there may still be values in it.
  bool is_closed() const noexcept {
    const std::lock_guard hold{core_.lock};
    return core_.closed;
  }

  /// Returns how many values it holds at the moment, not counting those that senders wait with.
  std::size_t size() const noexcept {
    const std::lock_guard hold{core_.lock};
    return buffer_.size();
  }

  /// Returns how many values it may hold.
  std::size_t capacity() const noexcept { return capacity_; }

private:
  // What a coroutine awaits.
  template <class Step, class Slot>
  class operation;
  template <class U, bool Timed>
  class sending;
  template <bool Timed>
  class receiving;

  // Calls `function` with what is sent: the caller's own T, if that may be moved from, or one made
  // of it.
  template <class U, class Function>
  static decltype(auto) with_value(U&& value, Function function) {
    if constexpr (std::is_same_v<U, T>) {
      return function(value);
    } else {
      T made(std::forward<U>(value));
      return function(made);
    }
  }

  detail::channel_attempt put(detail::channel_access& held, T& value);
  detail::channel_attempt take(detail::channel_access& held, std::optional<T>& result);
  detail::channel_claims refill() noexcept;

  // What has ended a call: `ready` if it has moved its value.
  template <class U>
  detail::wake_reason put_until(U&& value, time_point deadline) {
    return with_value(std::forward<U>(value), [&](T& sent) { return send_one(sent, deadline); });
  }

  detail::wake_reason send_one(T& value, time_point deadline);
  detail::wake_reason wait_to_send(T& value, time_point deadline);
  detail::wake_reason take_until(std::optional<T>& result, time_point deadline);
  detail::wake_reason wait_to_receive(std::optional<T>& result, time_point deadline);

  const std::size_t capacity_;
  detail::value_queue<T> buffer_;
  detail::channel_core core_;  // the last one: it sees first that the channel may not go yet
};

// When a move throws here or in take(), whoever was claimed for it tries again.
template <std::move_constructible T>
[[gnu::always_inline]] inline detail::channel_attempt channel<T>::put(detail::channel_access& held,
                                                                      T& value) {
  if (core_.closed) return detail::channel_attempt::closed;
  if (auto* const slot = held.claims.claim_first(core_.receivers)) {
    static_cast<detail::receiver_slot<T>*>(slot)->result.emplace(std::move(value));
    slot->done = true;
    return detail::channel_attempt::done;
  }
  if (buffer_.size() >= capacity_) return detail::channel_attempt::must_wait;
  buffer_.push(std::move(value));
  return detail::channel_attempt::done;
}

template <std::move_constructible T>
[[gnu::always_inline]] inline detail::channel_attempt channel<T>::take(detail::channel_access& held,
                                                                       std::optional<T>& result) {
  if (!buffer_.empty()) {
    result.emplace(std::move(buffer_.front()));
    buffer_.pop();
    if (!core_.senders.empty()) held.claims = refill();
    return detail::channel_attempt::done;
  }
  if (auto* const slot = held.claims.claim_first(core_.senders)) {
    result.emplace(std::move(static_cast<detail::sender_slot<T>*>(slot)->value));
    slot->done = true;
    return detail::channel_attempt::done;
  }
  return core_.closed ? detail::channel_attempt::closed : detail::channel_attempt::must_wait;
}

// Puts the value of the first sender that waits where one has been taken. One whose move throws
// has had its turn: the room goes on to the next, before anybody else can take it.
template <std::move_constructible T>
[[gnu::noinline]] detail::channel_claims channel<T>::refill() noexcept {
  detail::channel_claims claims;
  while (auto* const claimed = claims.claim_first(core_.senders)) {
    auto* const slot = static_cast<detail::sender_slot<T>*>(claimed);
    try {
      buffer_.push(std::move(slot->value));
      slot->done = true;
      break;
    } catch (...) {
      slot->failure = std::current_exception();
      claims.set_aside();
    }
  }
  return claims;
}

// The way of a call that need not wait is in line, and keeps what it holds in registers.
template <std::move_constructible T>
detail::wake_reason channel<T>::send_one(T& value, time_point deadline) {
  if (detail::refuse_if_cancelled()) return detail::why_refused();
  detail::channel_access held{core_};
  const auto attempt = put(held, value);
  if (attempt == detail::channel_attempt::must_wait) {
    held.release();
    return wait_to_send(value, deadline);
  }
  held.leave();
  detail::spend_budget();
  return attempt == detail::channel_attempt::done ? detail::wake_reason::ready
                                                  : detail::wake_reason::closed;
}

// With the lock, having found that it must.
template <std::move_constructible T>
[[gnu::noinline]] detail::wake_reason channel<T>::wait_to_send(T& value, time_point deadline) {
  detail::channel_access held{core_, std::adopt_lock};
  for (;;) {
    detail::sender_slot<T> mine{value};
    const detail::wake_reason reason = held.wait(core_.senders, mine, deadline);
    if (mine.done) return reason;
    if (mine.failure) std::rethrow_exception(mine.failure);
    if (reason != detail::wake_reason::ready) return reason;
    const bool refused = detail::refuse_if_cancelled();
    held.enter_again();
    if (refused) {
      held.leave();
      return detail::why_refused();
    }
    const auto attempt = put(held, value);
    if (attempt == detail::channel_attempt::must_wait) continue;
    held.leave();
    detail::spend_budget();
    return attempt == detail::channel_attempt::done ? detail::wake_reason::ready
                                                    : detail::wake_reason::closed;
  }
}

// `ready` without a result: it is closed, and nothing is left.
template <std::move_constructible T>
detail::wake_reason channel<T>::take_until(std::optional<T>& result, time_point deadline) {
  if (detail::refuse_if_cancelled()) return detail::why_refused();
  detail::channel_access held{core_};
  if (take(held, result) == detail::channel_attempt::must_wait) {
    held.release();
    return wait_to_receive(result, deadline);
  }
  held.leave();
  detail::spend_budget();
  return detail::wake_reason::ready;
}

template <std::move_constructible T>
[[gnu::noinline]] detail::wake_reason channel<T>::wait_to_receive(std::optional<T>& result,
                                                                  time_point deadline) {
  detail::channel_access held{core_, std::adopt_lock};
  for (;;) {
    detail::receiver_slot<T> mine{result};
    const detail::wake_reason reason = held.wait(core_.receivers, mine, deadline);
    if (reason == detail::wake_reason::closed) return detail::wake_reason::ready;
    if (reason != detail::wake_reason::ready || mine.done) return reason;
    const bool refused = detail::refuse_if_cancelled();
    held.enter_again();
    if (refused) {
      held.leave();
      return detail::why_refused();
    }
    if (take(held, result) == detail::channel_attempt::must_wait) continue;
    held.leave();
    detail::spend_budget();
    return detail::wake_reason::ready;
  }
}

}  // namespace weft

#include <weft/fiber/detail/channel_operations.hpp>  // what co_send() and co_receive() return
