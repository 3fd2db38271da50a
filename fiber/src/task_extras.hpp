// What few tasks have: bound context values and fiber locals, allocated when a task first has one.
//
// Threads: a task for its own; while a fiber is spawned, the spawner.
#pragma once

#include <weft/fiber/detail/task_values.hpp>

#include "scheduler.hpp"

namespace weft::detail {

struct task_extras {
  context_node* bound = nullptr;  // the innermost binding; a reference
  local_node* locals = nullptr;   // the newest
  unsigned round = 0;             // of locals made now: 0, or how many destructors deep
};

// Null while it has none.
extern constinit thread_local task_extras* extras_of_thread;

// The place of the extras of the running task: the fiber, or the thread if none runs.
inline task_extras*& extras_of_this_task() noexcept {
  scheduler* const worker = scheduler::running();
  if (worker != nullptr && worker->current_if_any() != nullptr) return worker->current().extras;
  return extras_of_thread;
}

// Those of the running task, made if there are none. Errors: std::bad_alloc.
task_extras& require_extras();

// Destroys the locals and gives up the bindings, and with them the extras: on their task.
void end_extras(task_extras*& extras) noexcept;

bool share_bindings(control_block& block, const task_extras& from) noexcept;

// Gives a fiber that the running task spawns the bindings of that; false without memory.
inline bool inherit_context(control_block& block) noexcept {
  const task_extras* const mine = extras_of_this_task();
  return mine == nullptr || share_bindings(block, *mine);
}

}  // namespace weft::detail
