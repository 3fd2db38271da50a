// Runs a coroutine from code that is none.
//
// Threads: any. On a fiber it parks, and others run meanwhile; on a plain thread it makes a runtime
// of one worker for as long as it takes.
#pragma once

#include <exception>
#include <type_traits>
#include <utility>

#include <weft/fiber/co/task.hpp>
#include <weft/fiber/runtime.hpp>

namespace weft::co {

namespace detail {

// Calls `start` and what follows it, until the coroutines from `outermost` on have ended.
void run_to_end(continuation& start, const co_frame& outermost) noexcept;

// A coroutine that the running task runs beside its own code, as part of itself.
template <class T>
class guest_task final : private continuation {
public:
  explicit guest_task(task_frame<T> first) noexcept
      : continuation(&guest_task::begin), first_(std::move(first)) {}

  T run() {
    run_to_end(*this, first_.promise());
    return first_.promise().take();
  }

private:
  static void begin(continuation& self) noexcept {
    auto& guest = static_cast<guest_task&>(self);
    guest.go_on = &guest_task::end;
    if (guest.first_.run(guest)) end(guest);
  }

  static void end(continuation& /*self*/) noexcept {
    weft::detail::running_worker->task_ended = true;
  }

  task_frame<T> first_;
};

}  // namespace detail

/// Runs `awaited` to its end and returns what it returns.
///
/// On a fiber it belongs to that: the scopes, context values and cancellation of the caller are its
/// own. On a plain thread it is the main fiber of the runtime that is made for it: the scopes that
/// the thread is in do not hold inside, and Ctrl-C ends the process as it would any other; to have
/// it cancel the task instead call block_on() inside weft::run(). Errors: what it throws; on a
/// plain thread those of making a runtime.
template <class T>
T block_on(task<T> awaited) {
  auto run = [frame = detail::task_access::take(std::move(awaited))]() mutable -> T {
    return detail::guest_task<T>{std::move(frame)}.run();
  };
  if (weft::detail::running_worker != nullptr) return run();
  runtime own;
  return own.run(std::move(run));
}

}  // namespace weft::co
