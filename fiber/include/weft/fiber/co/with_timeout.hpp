// Coroutines with a deadline: what weft::with_timeout() and weft::move_on_after() are for
// functions.
//
//     auto answer = co_await co::with_timeout(2s, [&] { return ask(server); });
//
// With g++ 12 a lambda that captures by value needs a name: see task.hpp.
//
// Threads: coroutines of any worker.
#pragma once

#include <functional>
#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>

#include <weft/fiber/cancel_scope.hpp>
#include <weft/fiber/co/task.hpp>

namespace weft::co {

/// Awaits what `function()` returns in a timeout of that length, and returns what comes of it.
///
/// Errors: what it throws; that is std::system_error with errc::timed_out when a wait inside it met
///         the deadline.
template <task_function Function>
auto with_timeout(any_duration length, Function function) -> std::invoke_result_t<Function&> {
  const timeout limit{length};
  co_return co_await std::invoke(function);
}

/// The same, but gives up when the timeout expires: an optional of what comes of it, which is no
/// reference (true, for a task<>), empty (false) if errc::timed_out left it because of this
/// timeout.
///
/// Errors: everything else that it throws, the timeout or cancellation of an enclosing scope too.
template <task_function Function>
auto move_on_after(any_duration length, Function function) -> task<
    std::conditional_t<std::is_void_v<typename std::invoke_result_t<Function&>::value_type>, bool,
                       std::optional<typename std::invoke_result_t<Function&>::value_type>>> {
  using value = typename std::invoke_result_t<Function&>::value_type;
  bool expired = false;
  try {
    const timeout limit{length};
    try {
      if constexpr (std::is_void_v<value>) {
        co_await std::invoke(function);
        co_return true;
      } else {
        co_return std::optional<value>{co_await std::invoke(function)};
      }
    } catch (const std::system_error& error) {
      expired = error.code() == errc::timed_out && limit.expired();
      throw;
    }
  } catch (const std::system_error&) {
    if (!expired) throw;
    weft::detail::throw_if_cancelled("co::move_on_after");  // around it, meanwhile
  }
  if constexpr (std::is_void_v<value>) {
    co_return false;
  } else {
    co_return std::optional<value>{};
  }
}

}  // namespace weft::co
