// The cancel scopes of a task: a chain from the innermost outwards. Not for users.
//
// A scope is cancelled once, by any thread. What that means for the task is decided on the task's
// own thread: of the scopes from the innermost out to the first shield, the outermost that is
// cancelled gives the verdict, for it is the one that the task has to unwind to.
#pragma once

#include <chrono>
#include <cstdint>

#include <weft/fiber/detail/atomic.hpp>
#include <weft/fiber/detail/timer_node.hpp>
#include <weft/fiber/detail/waiter.hpp>
#include <weft/fiber/detail/worker_view.hpp>

namespace weft::detail {

struct control_block;
class thread_task;

struct scope_state {
  timer_node timer;  // on its worker's wheel of scopes, while there is a deadline
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  scope_state* outer = nullptr;
  // Whose scope it is: one of them is null.
  control_block* fiber = nullptr;
  thread_task* thread = nullptr;
  // Set once. The exchange that sets it pairs with the loads of the task.
  atomic<verdict> own{verdict::none};
  // Set by whoever has set `own`, as the last that it does here: the task may see that it was
  // cancelled, and leave, before it has been told. Pairs with the load in leave_scope().
  atomic<bool> told{false};
  bool shielded = false;

  static scope_state& of(timer_node& node) noexcept;
};

// The running task enters a scope, which becomes its innermost; leaves it, which must be that.
void enter_scope(scope_state& scope) noexcept;
void leave_scope(scope_state& scope) noexcept;
// Ends the process: scopes are left in the opposite order.
[[noreturn]] void left_before_one_inside() noexcept;
// Any thread, for a scope that exists until the call has returned; where it was this call that has
// cancelled it, the task may see that and leave it meanwhile.
void cancel_scope_for(scope_state& scope, verdict why) noexcept;
// The running task's own scope only; no_deadline for none. One that has expired stays expired.
void set_scope_deadline(scope_state& scope, std::chrono::steady_clock::time_point deadline,
                        std::chrono::steady_clock::time_point now) noexcept;

// The verdict on the running task: what every cancellation point finds.
verdict current_verdict() noexcept;
// Throws std::system_error for it, of `what`, if there is one.
void throw_if_cancelled(const char* what);
// Whether its deadline has come first; by its own task.
bool has_expired(scope_state& scope) noexcept;

// Why a wait ends, and with which error, for a verdict that is not `none`.
wake_reason reason_of(verdict why) noexcept;

// The verdict of a chain of scopes; `root` is that of the task itself, outside all of them.
verdict verdict_of(const scope_state* innermost, verdict root) noexcept;

}  // namespace weft::detail
