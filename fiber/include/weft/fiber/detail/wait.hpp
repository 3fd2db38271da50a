// How a task waits: it parks until somebody ends its wait. Used by the libraries above fiber/; not
// for users.
//
// The same calls serve a fiber, which parks, and a plain thread, which blocks.
// Threads: any, each for itself.
#pragma once

#include <chrono>
#include <cstdint>
#include <system_error>

#include <weft/fiber/detail/planted.hpp>
#include <weft/fiber/detail/waiter.hpp>
#include <weft/fiber/detail/worker_view.hpp>
#include <weft/fiber/duration.hpp>

namespace weft::detail {

using deadline_clock = std::chrono::steady_clock;
inline constexpr deadline_clock::time_point no_deadline = deadline_clock::time_point::max();

// The moment that lies so far from now, no_deadline if that is beyond what the clock counts; now
// for a negative duration.
deadline_clock::time_point deadline_after(any_duration duration) noexcept;
// The same so far from `now`.
deadline_clock::time_point deadline_after(any_duration duration,
                                          deadline_clock::time_point now) noexcept;

enum class cancellation : std::uint8_t { honoured, ignored };

// The parts of a wait. Begins one of the running task that is published in one list, or in several;
// it must end by finish_wait(), or by a claim of the task itself.
waiter& begin_wait(wake_reason how = wake_reason::armed) noexcept;
// Waits until it is woken, cancelled or `deadline` has passed.
wake_reason finish_wait(deadline_clock::time_point deadline, cancellation mode);

// Whether the wait has ended without having been claimed in its list: its node is perhaps there.
inline bool must_withdraw(wake_reason reason) noexcept {
  return reason != wake_reason::ready && reason != wake_reason::closed;
}

// Takes a node out of `list` if it is there still.
template <class Lock>
void withdraw(wait_list& list, wait_node& node, Lock& lock) noexcept {
  lock.lock();
  if (node.linked() && !planted(bug::stale_publication)) list.remove(node);
  lock.unlock();
}

// Publishes the running task in `list`, whose lock `held` the caller holds and has used to see that
// it must wait, gives the lock up, and waits until it is woken, cancelled or `deadline` has passed.
// It must not be cancelled already where cancellation is honoured: see refuse_if_cancelled(). In
// the node, the caller's, whoever ends the wait may find more than a waiter. `handed` is resumed
// once the lock has been given up: a waiter that the caller has claimed, or null.
template <class Lock>
wake_reason wait(wait_list& list, wait_node& node, Lock& held, deadline_clock::time_point deadline,
                 cancellation mode, waiter* handed = nullptr) {
  node.owner = &begin_wait();
  list.push_back(node);
  held.unlock();
  resume(handed);
  const wake_reason reason = finish_wait(deadline, mode);
  if (must_withdraw(reason)) withdraw(list, node, held);
  return reason;
}

// The same with the node of the task.
wake_reason wait(wait_list& list, spin_lock& held, deadline_clock::time_point deadline,
                 cancellation mode);

// The same as the first, but returns timed_out at once for a deadline that has passed: the caller
// calls spend_budget() before or after, lest a loop of such calls never give way.
wake_reason wait_or_expire(wait_list& list, spin_lock& held, deadline_clock::time_point deadline,
                           cancellation mode);

// Whether `deadline` has passed; never for no_deadline.
bool has_passed(deadline_clock::time_point deadline) noexcept;

// The waiter of the running fiber, or of the calling thread: its address tells those apart that
// live at the same time.
waiter& waiter_of_this_task() noexcept;

// The same for a queue, checking for cancellation first.
wake_reason wait(wait_queue& queue, deadline_clock::time_point deadline = no_deadline,
                 cancellation mode = cancellation::honoured);

// What a plain thread needs to wait for descriptors: an eventfd of its own, made once. False and
// `ec` (errno of eventfd(2)) if there is none to be had.
bool prepare_thread_to_poll(std::error_code& ec) noexcept;

// As wait() with a list, for a plain thread that is prepared: ends with `ready`, too, when poll(2)
// reports one of `events` of the descriptor. The descriptor may be closed meanwhile.
wake_reason wait_for_descriptor(wait_list& list, spin_lock& held, int fd, short events,
                                cancellation mode);

// Waits until `deadline` or cancellation. Returns timed_out, cancelled or expired.
wake_reason wait_until(deadline_clock::time_point deadline,
                       cancellation mode = cancellation::honoured);

// The check that every cancellation point makes before it tries: true when the running task has
// been cancelled. Names a fiber that ignores it 1,000 times in a row on the diagnostics sink.
bool refuse_now() noexcept;
bool refuse_now(std::error_code& ec);

inline bool refuse_if_cancelled() noexcept {
  const worker_view* const worker = running_worker;
  return (worker == nullptr || may_be_cancelled(*worker)) && refuse_now();
}

// The same; sets `ec` to why, or clears it.
inline bool refuse_if_cancelled(std::error_code& ec) {
  if (ec) ec.clear();
  const worker_view* const worker = running_worker;
  return (worker == nullptr || may_be_cancelled(*worker)) && refuse_now(ec);
}

// Why the running task was refused just now.
wake_reason why_refused() noexcept;

// The error of a wait that ended so; none for `ready`.
std::error_code error_of(wake_reason reason) noexcept;

inline void set_error_of(wake_reason reason, std::error_code& ec) {
  if (ec || reason != wake_reason::ready) ec = error_of(reason);
}

// Throws it as std::system_error of `what`.
[[noreturn]] void throw_error_of(wake_reason reason, const char* what);

// Throws std::system_error for what has ended a timed wait, but for its own deadline: a task that
// was cancelled, or whose scope has expired, must be led out.
void throw_unless_own_deadline(const std::error_code& ec, const char* what);

// The running fiber yields after so many calls that the worker looks what has happened meanwhile.
void give_way() noexcept;

// For what others, who are about to go on, have to do first.
void let_others_run() noexcept;

// Counts a call that does not park; after 64 of them the fiber yields. What takes something that
// others may wait for calls it before it takes it.
inline void spend_budget() noexcept {
  worker_view* const worker = running_worker;
  if (worker != nullptr && --worker->budget == 0) give_way();
}

// Has the processor fetch what the next ready fiber needs when it runs. For a caller about to make
// a system call, which takes longer than the memory: then the switch after it finds a warm stack.
void warm_next_fiber() noexcept;

// True when the calling thread runs fibers.
inline bool on_worker() noexcept { return running_worker != nullptr; }

}  // namespace weft::detail
