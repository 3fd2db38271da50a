// A plain thread as a task: how it waits where a fiber would park, and the scopes it is in.
//
// It blocks until it is resumed. There is no worker to look at its scopes: whoever cancels
// one claims the waiter of the thread, and the thread sleeps no longer than the nearest deadline.
// Threads: each for itself, but for cancel().
#pragma once

#include <cstdint>
#include <system_error>

#include <weft/fiber/detail/scope.hpp>
#include <weft/fiber/detail/spin_lock.hpp>
#include <weft/fiber/detail/wait.hpp>

namespace weft::detail {

class thread_task {
public:
  static thread_task& of_this_thread() noexcept;

  thread_task(const thread_task&) = delete;
  thread_task& operator=(const thread_task&) = delete;
  // Nothing to destroy: destructors of the thread may wait to the last.
  ~thread_task() = default;

  // As weft::detail::begin_wait() and finish_wait().
  waiter& begin_wait(wake_reason how) noexcept;
  wake_reason finish_wait(deadline_clock::time_point deadline, cancellation mode) noexcept;
  // As prepare_thread_to_poll() and wait_for_descriptor().
  bool prepare_to_poll(std::error_code& ec) noexcept;
  wake_reason wait_for_descriptor(wait_list& list, spin_lock& held, int fd, short events,
                                  cancellation mode);

  // Its address tells tasks apart that live at the same time.
  waiter& own_waiter() noexcept { return wait_; }

  // The task whose waiter it is.
  static thread_task& of(waiter& entry) noexcept;

  // Tells it apart from those before it, too.
  std::uint64_t number() const noexcept { return number_; }

  void enter(scope_state& scope) noexcept;
  void leave(scope_state& scope) noexcept;
  verdict current_verdict() noexcept;
  // Any thread: one of its scopes was cancelled.
  void cancel() noexcept;

private:
  thread_task() noexcept;

  static void resume(waiter& claimed) noexcept;
  wake_reason block_in_poll(int fd, short events, cancellation mode) noexcept;
  static void close_wake_event(void* task) noexcept;
  void interrupt_poll() noexcept;
  bool give_up(cancellation mode) noexcept;
  void await_resumption() noexcept;
  void leave_wait(cancellation mode) noexcept;
  deadline_clock::time_point become_cancellable() noexcept;
  void expire_scopes() noexcept;
  deadline_clock::time_point nearest_deadline() const noexcept;

  const std::uint32_t* futex_word() const noexcept {
    return reinterpret_cast<const std::uint32_t*>(&resumed_);
  }

  waiter wait_;
  const std::uint64_t number_;
  atomic<std::uint32_t> resumed_{0};  // 1 once the wait is over and nobody else looks at `wait_`
  spin_lock lock_;                    // guards the chain of scopes and `cancellable_`
  scope_state* innermost_ = nullptr;
  bool cancellable_ = false;  // it waits, and cancel() may end that
  // Set before a wait in poll(2) is published and cleared after it has been resumed.
  bool polling_ = false;
  int wake_event_ = -1;  // eventfd(2), once it has waited in poll(2)
};

}  // namespace weft::detail
