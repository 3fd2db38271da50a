// Coroutines that belong together, and are waited for whatever way the block is left.
//
// A destructor cannot suspend: a task_group that goes in a coroutine before its tasks have ended
// ends the process. This is the form that cannot be left so.
//
//     co_await co::with_task_group([&](weft::task_group& group) -> co::task<> {
//       group.spawn(fetch(url));
//       group.spawn(fetch(other));
//       co_return;
//     });
//
// With g++ 12 a lambda that captures by value needs a name: see task.hpp.
//
// Threads: coroutines of any worker.
#pragma once

#include <concepts>
#include <exception>
#include <functional>
#include <type_traits>
#include <utility>

#include <weft/fiber/co/task.hpp>
#include <weft/fiber/task_group.hpp>

namespace weft::co {

namespace detail {

// For a coroutine that leaves a group: waits for its tasks, which are cancelled first if there is a
// `failure`, and throws that; without one as co_join(). Needs no memory.
inline weft::detail::co_join_group leave(task_group& group, std::exception_ptr& failure) noexcept {
  return {group.core_, failure};
}

}  // namespace detail

/// Calls `body(group)`, a coroutine, awaits it, then waits for all tasks of the group; if the body
/// throws, it cancels them first.
///
/// Errors: what the body throws, else as task_group::join().
template <class Body>
  requires std::same_as<std::invoke_result_t<Body&, task_group&>, task<>>
task<> with_task_group(Body body) {
  task_group group;
  std::exception_ptr failure;
  try {
    co_await std::invoke(body, group);
  } catch (...) {
    failure = std::current_exception();
  }
  co_await detail::leave(group, failure);
}

}  // namespace weft::co
