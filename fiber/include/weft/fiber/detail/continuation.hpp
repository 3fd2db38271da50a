// What a task that has suspended goes on with, and the frames of its coroutines. Not for users.
//
// A task suspends as a whole: the innermost of its coroutines leaves a continuation in the task's
// control block, and all of them return to the runner, a stack that runs whichever task is ready
// next. Woken, the task goes on there, in the innermost coroutine; one that has ended names the
// continuation of who awaits it, and the runner calls that: no call nests deeper for it.
// Threads: the worker of the task only.
#pragma once

#include <coroutine>
#include <source_location>

#include <weft/fiber/detail/worker_view.hpp>

namespace weft::detail {

struct co_frame;

struct continuation {
  using function = void(continuation& self) noexcept;

  function* go_on = nullptr;
  co_frame* frame = nullptr;  // the coroutine that has suspended; null where there is none

  continuation() noexcept = default;

  explicit continuation(function* how) noexcept : go_on(how) {}

  continuation(const continuation&) = delete;
  continuation& operator=(const continuation&) = delete;

protected:
  ~continuation() = default;
};

// The base of every promise.
struct co_frame {
  std::coroutine_handle<> self;
  continuation* awaited_by = nullptr;  // null while nobody has suspended for it
  // Where it suspended last; before that where it was made.
  std::source_location at;

  // By a coroutine that has ended: who awaits it goes on once the runner has control.
  void hand_over() const noexcept {
    if (awaited_by != nullptr) running_worker->go_on_with = awaited_by;
  }
};

}  // namespace weft::detail
