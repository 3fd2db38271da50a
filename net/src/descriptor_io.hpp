// Reading and writing a non-blocking descriptor by waiting: what sockets, listeners and datagram
// sockets have in common.
//
// A descriptor may be closed, and its number reused, while an operation on it waits; so operations
// work on the number and the record, never on the object they were called on, and look at the
// generation of the record, with its lock held, before they go on.
// Threads: fibers of any worker, and plain threads, which block in poll(2).
#pragma once

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <system_error>

#include <weft/fiber/co/task.hpp>
#include <weft/fiber/detail/co_wait.hpp>
#include <weft/fiber/detail/wait.hpp>
#include <weft/fiber/error.hpp>
#include <weft/net/detail/descriptor.hpp>

#include "fd_table.hpp"
#include "poller.hpp"

namespace weft::net::detail {

inline std::error_code system_error_code(int error) noexcept {
  return {error, std::system_category()};
}

// The code for what a system call returned: errno if that was negative.
inline std::error_code check_result(int result) noexcept {
  return result < 0 ? system_error_code(errno) : std::error_code{};
}

// Stands in for the record of a descriptor that is closed, so that a turn always has one.
extern constinit fd_record no_record;

// What has come of a step of an operation of a coroutine.
enum class io_progress : std::uint8_t {
  ready,
  suspended,            // it goes on when the task is woken
  suspended_for_event,  // the same, after begin_with_event(): by event_has_come()
  failed,               // the error says why
};

// The turn of one operation among those in the same direction of a descriptor: they are served in
// the order in which they came, and none is interleaved with another.
class io_turn {
public:
  // Checks for cancellation and waits for the turn.
  // Errors: errc::cancelled, errc::closed.
  io_turn(const descriptor& target, direction which, std::error_code& ec)
      : fd_(target.number()), record_(record_of(target)), generation_(target.generation()),
        which_(which) {
    refused_ = weft::detail::refuse_if_cancelled(ec);
    if (!refused_) take_turn(ec);
    seen_ = side().events.load(std::memory_order_acquire);
  }

  // The same, and if nothing is there yet waits for that, too, without giving up the lock between:
  // await_ready() follows in any case. For reads, which mostly wait. Errors: those of both.
  struct and_event {};

  io_turn(const descriptor& target, direction which, and_event /*also*/, std::error_code& ec)
      : io_turn(target, which) {
    refused_ = weft::detail::refuse_if_cancelled(ec);
    if (refused_) return;
    if (!take_or_lock(ec, [&] { wait_with_turn(ec); })) wait_for_turn(ec);
  }

  // For a coroutine, which then calls begin().
  io_turn(const descriptor& target, direction which) noexcept
      : fd_(target.number()), record_(record_of(target)), generation_(target.generation()),
        which_(which), refused_(true) {}

  io_turn(const io_turn&) = delete;
  io_turn& operator=(const io_turn&) = delete;

  // In line in every operation, which knows its direction: a twentieth of what an echo costs here.
  [[gnu::always_inline]] ~io_turn() {
    end();
    // Failed or not: whoever repeats a call that fails must not freeze the worker.
    if (!refused_) weft::detail::spend_budget();
  }

  // ---- for coroutines ----
  //
  // As the constructor and await_ready(). Once the task that was suspended has been woken, the
  // second function of the pair is called. The end of the turn does not count as a call.

  io_progress begin(weft::detail::continuation& then, weft::detail::list_suspension& wait,
                    std::error_code& ec);
  io_progress turn_has_come(weft::detail::list_suspension& wait, std::error_code& ec);
  // As the constructor that waits for an event, too.
  io_progress begin_with_event(weft::detail::continuation& then,
                               weft::detail::list_suspension& wait, std::error_code& ec);

  io_progress begin_to_await_ready(weft::detail::continuation& then,
                                   weft::detail::list_suspension& wait, std::error_code& ec) {
    seen_ = side().events.load(std::memory_order_acquire);
    return seen_ != side().drained_at ? io_progress::ready : suspend_until_ready(then, wait, ec);
  }

  io_progress event_has_come(weft::detail::continuation& then, weft::detail::list_suspension& wait,
                             std::error_code& ec);

  // As pause().
  co::task<bool> co_pause(std::chrono::nanoseconds length, std::error_code& ec);

  // Whether the operation may go on: errc::closed, errc::cancelled.
  bool may_go_on(std::error_code& ec) const {
    if (weft::detail::refuse_coroutine(ec)) return false;
    if (!is_open()) ec = errc::closed;
    return !ec;
  }

  // ---- for both ----

  [[gnu::always_inline]] void end() noexcept {
    if (!granted_) return;
    granted_ = false;
    if (end_turn(record_, which_, generation_)) close_number(fd_);
  }

  explicit operator bool() const noexcept { return granted_; }

  int fd() const noexcept { return fd_; }

  const fd_record& record() const noexcept { return record_; }

  // Whether an event was waited for, so that the next system call finds what it told of.
  bool has_waited() const noexcept { return has_waited_; }

  // Waits until the operation may succeed; at once if it may already.
  // Errors: errc::cancelled, errc::closed; errno of epoll_ctl(2) and epoll_create1(2).
  bool await_ready(std::error_code& ec) {
    // Pairs with the store in count_event(); and it is before the system call that follows.
    seen_ = side().events.load(std::memory_order_acquire);
    return seen_ != side().drained_at || park_until_ready(ec);
  }

  // Waits so long, whatever events come: for what no event tells of. False and `ec` as above.
  bool pause(std::chrono::nanoseconds length, std::error_code& ec);

  // For waits of another kind within the turn: from step_aside() on no system call is made before
  // come_back() has returned true. Errors: errc::closed.
  void step_aside() noexcept;

  bool come_back(std::error_code& ec) noexcept {
    record_.lock.lock();
    const bool same = record_.is_generation(generation_);
    if (same) record_.remove_away(which_);
    record_.lock.unlock();
    if (!same && !ec) ec = errc::closed;
    return !ec;
  }

  // The same, for a task that may have been cancelled since it was woken. Errors: errc::cancelled,
  // errc::timed_out of a scope, errc::closed.
  bool may_try(std::error_code& ec) {
    return come_back(ec) && !weft::detail::refuse_if_cancelled(ec);
  }

  bool co_may_try(std::error_code& ec) noexcept {
    return come_back(ec) && !weft::detail::refuse_coroutine(ec);
  }

  // Between the system calls of one operation that goes on without waiting: gives way to others
  // when that has lasted. False when it must end. Errors: errc::cancelled, errc::closed.
  bool go_on(std::error_code& ec);

  // The kernel has said EAGAIN, or all has been read: only an event after the last await_ready()
  // makes it ready again.
  void not_ready() noexcept { side().drained_at = seen_; }

private:
  // Read once: another thread may close it meanwhile.
  static fd_record& record_of(const descriptor& target) noexcept {
    fd_record* const record = target.record();
    return record != nullptr ? *record : no_record;
  }

  // A descriptor that was never open may be of the generation of `no_record`.
  bool is_open() const noexcept {
    return &record_ != &no_record && record_.is_generation(generation_);
  }

  fd_direction& side() const noexcept { return record_.at(which_); }

  void take_turn(std::error_code& ec) {
    if (!take_or_lock(ec)) wait_for_turn(ec);
  }

  // False with the lock held when others have their turn before.
  bool take_or_lock(std::error_code& ec) {
    return take_or_lock(ec, [this] { record_.lock.unlock(); });
  }

  // The same; `then` gives up the lock once the turn is taken.
  template <class Then>
  bool take_or_lock(std::error_code& ec, Then&& then) {
    record_.lock.lock();
    if (!is_open()) {
      ec = errc::closed;
      record_.lock.unlock();
    } else if (!record_.is_busy(which_)) {
      record_.add_busy(which_);
      granted_ = true;
      then();
    } else {
      return false;
    }
    return true;
  }

  // With the lock held, which it gives up, and the turn, which it ends if the wait fails. Waits for
  // an event, if that takes no preparation.
  void wait_with_turn(std::error_code& ec) {
    poller* const worker = side().ready() ? nullptr : poller::if_installed();
    if (worker != nullptr && worker->watches(record_)) {
      leave_a_gap();
      return park_with_turn(*worker, ec);
    }
    record_.lock.unlock();
  }

  // Before a wait for an event, if that is the bug that was planted.
  void leave_a_gap() noexcept {
    if (!weft::detail::planted(weft::detail::bug::gap_before_event)) return;
    record_.lock.unlock();
    record_.lock.lock();
  }

  void park_with_turn(poller& worker, std::error_code& ec);

  void wait_for_turn(std::error_code& ec);
  void end_wait_for_turn(weft::detail::wake_reason reason, std::error_code& ec);
  io_progress outcome_of_turn() noexcept;
  io_progress suspend_for_turn(weft::detail::continuation& then,
                               weft::detail::list_suspension& wait, std::error_code& ec);
  io_progress suspend_locked(poller& worker, weft::detail::continuation& then,
                             weft::detail::list_suspension& wait, std::error_code& ec);
  io_progress suspend_until_ready(weft::detail::continuation& then,
                                  weft::detail::list_suspension& wait, std::error_code& ec);

  bool park_until_ready(std::error_code& ec);
  bool block_until_ready(std::error_code& ec);
  void note_readiness() const noexcept;
  weft::detail::wake_reason park(weft::detail::deadline_clock::time_point deadline);

  const int fd_;
  fd_record& record_;
  const std::uint32_t generation_;
  std::uint32_t seen_ = 0;  // events so far
  const direction which_;
  bool granted_ = false;
  bool has_waited_ = false;
  bool refused_ = false;  // cancelled before it tried, which has counted the call
};

// Calls `attempt()`, which makes one non-blocking system call, as often as it takes, waiting in
// between. Returns what the call returned, or -1 and `ec`.
template <class Attempt>
std::ptrdiff_t retry_when_ready(io_turn& turn, Attempt&& attempt, std::error_code& ec) {
  while (turn.await_ready(ec)) {
    const std::ptrdiff_t result = attempt();
    if (result >= 0) return result;
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      turn.not_ready();
    } else if (errno != EINTR) {
      ec = system_error_code(errno);
      return -1;
    }
  }
  return -1;
}

// What a coroutine of the library awaits of its turn: to be granted it. Returns whether it was.
class [[nodiscard]] co_turn final : public weft::detail::co_operation<co_turn> {
public:
  co_turn(io_turn& turn, std::error_code& ec) noexcept : turn_(turn), ec_(ec) { ec.clear(); }

  bool start() noexcept { return turn_.begin(*this, wait_, ec_) != io_progress::suspended; }

  bool go_on() noexcept {
    turn_.turn_has_come(wait_, ec_);
    return true;
  }

  bool await_resume() const noexcept { return static_cast<bool>(turn_); }

private:
  io_turn& turn_;
  std::error_code& ec_;
  weft::detail::list_suspension wait_;
};

// The same: that the operation may succeed.
class [[nodiscard]] co_ready final : public weft::detail::co_operation<co_ready> {
public:
  co_ready(io_turn& turn, std::error_code& ec) noexcept : turn_(turn), ec_(ec) {}

  bool start() noexcept {
    return turn_.begin_to_await_ready(*this, wait_, ec_) != io_progress::suspended;
  }

  bool go_on() noexcept {
    return turn_.event_has_come(*this, wait_, ec_) != io_progress::suspended;
  }

  bool await_resume() const noexcept { return !ec_; }

private:
  io_turn& turn_;
  std::error_code& ec_;
  weft::detail::list_suspension wait_;
};

}  // namespace weft::net::detail
