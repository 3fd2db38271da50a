// Awaiting several tasks at once.
//
//     auto [page, ad] = co_await co::when_all(fetch(url), fetch(ad_url));
//     auto first = co_await co::when_any(ask(one), ask(other));   // first.index, std::get<0>(...)
//
// Each runs as a task of its own on the worker of the caller, inherits its context values, and has
// ended when the operation has: those that are not needed any more are cancelled and awaited.
// Threads: coroutines of any worker.
#pragma once

#include <cstddef>
#include <exception>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <weft/fiber/co/task.hpp>
#include <weft/fiber/co/with_task_group.hpp>
#include <weft/fiber/event.hpp>
#include <weft/fiber/task_group.hpp>

namespace weft::co {

namespace detail {

// What stands for a result: std::monostate for none.
template <class T>
using result_of = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

template <class T>
result_of<T> take_result(task_group::child<T>& child) {
  if constexpr (std::is_void_v<T>) {
    child.result();
    return {};
  } else {
    return std::move(child).result();
  }
}

}  // namespace detail

/// Awaits all of `tasks`. Returns their results in a tuple, in this order; std::monostate stands
/// for a task<>.
///
/// Errors: what the first to fail has thrown; it cancels the others, and they have ended.
template <class... T>
task<std::tuple<detail::result_of<T>...>> when_all(task<T>... tasks) {
  task_group group;
  std::tuple<task_group::child<T>...> children;
  std::exception_ptr failure;
  try {
    children = std::tuple<task_group::child<T>...>{group.spawn(std::move(tasks))...};
  } catch (...) {
    failure = std::current_exception();
  }
  co_await detail::leave(group, std::move(failure));
  co_return std::apply(
      [](auto&... child) {
        return std::tuple<detail::result_of<T>...>{detail::take_result(child)...};
      },
      children);
}

/// The same for as many as there are; returns the results in their order.
template <class T>
task<std::vector<detail::result_of<T>>> when_all(std::vector<task<T>> tasks) {
  task_group group;
  std::vector<task_group::child<T>> children;
  std::exception_ptr failure;
  try {
    children.reserve(tasks.size());
    for (task<T>& each : tasks) children.push_back(group.spawn(std::move(each)));
  } catch (...) {
    failure = std::current_exception();
  }
  co_await detail::leave(group, std::move(failure));
  std::vector<detail::result_of<T>> results;
  results.reserve(children.size());
  for (auto& each : children) results.push_back(detail::take_result(each));
  co_return std::move(results);
}

/// Which of several tasks was the first to end, and its result.
template <class Result>
struct first_result {
  std::size_t index;
  Result value;
};

namespace detail {

// What those that race share.
template <class Result>
struct race {
  event ended;
  std::optional<first_result<Result>> first;
  std::exception_ptr failure;  // of the one that was the first to end
  bool decided = false;
};

// Runs one of them. What comes after the first does not count.
template <class T, class Result, class Make>
task<> compete(race<Result>& all, std::size_t index, task<T> mine, Make make) {
  std::exception_ptr failure;
  std::optional<result_of<T>> value;
  try {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(mine);
      value.emplace();
    } else {
      value.emplace(co_await std::move(mine));
    }
  } catch (...) {
    failure = std::current_exception();
  }
  if (std::exchange(all.decided, true)) co_return;
  if (failure) {
    all.failure = std::move(failure);
  } else {
    all.first.emplace(first_result<Result>{index, make(std::move(*value))});
  }
  all.ended.set();
}

// Waits for the first, then for all the others, which are cancelled.
template <class Result>
task<first_result<Result>> decide(task_group& group, race<Result>& all,
                                  std::exception_ptr spawn_failure) {
  std::error_code cancelled;
  if (!spawn_failure) co_await all.ended.co_wait(cancelled);
  group.request_cancel();
  std::error_code ec;
  co_await group.co_join(ec);
  if (spawn_failure) std::rethrow_exception(std::move(spawn_failure));
  if (cancelled) throw std::system_error(cancelled, "co::when_any");
  if (all.failure) std::rethrow_exception(std::move(all.failure));
  co_return std::move(*all.first);
}

template <std::size_t... Index, class... T, class Result>
void start_race(std::index_sequence<Index...> /*places*/, task_group& group, race<Result>& all,
                task<T>&... tasks) {
  (group.spawn(compete(all, Index, std::move(tasks),
                       [](result_of<T>&& value) {
                         return Result{std::in_place_index<Index>, std::move(value)};
                       })),
   ...);
}

}  // namespace detail

/// Awaits the first of `tasks` to end, cancels the others and awaits their end too. Returns which
/// it was, and its result in a variant with one alternative for each task.
///
/// Errors: what the first to end has thrown; errc::cancelled and errc::timed_out of the caller.
template <class... T>
task<first_result<std::variant<detail::result_of<T>...>>> when_any(task<T>... tasks) {
  static_assert(sizeof...(T) > 0, "when_any of no task would never end");
  task_group group;
  detail::race<std::variant<detail::result_of<T>...>> all;
  std::exception_ptr failure;
  try {
    detail::start_race(std::index_sequence_for<T...>{}, group, all, tasks...);
  } catch (...) {
    failure = std::current_exception();
  }
  co_return co_await detail::decide(group, all, std::move(failure));
}

/// The same for as many as there are; their results are of one type. Errors: also
/// std::invalid_argument for none.
template <class T>
task<first_result<detail::result_of<T>>> when_any(std::vector<task<T>> tasks) {
  if (tasks.empty()) throw std::invalid_argument("co::when_any of no task would never end");
  task_group group;
  detail::race<detail::result_of<T>> all;
  std::exception_ptr failure;
  try {
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      group.spawn(detail::compete(all, i, std::move(tasks[i]),
                                  [](detail::result_of<T>&& value) { return std::move(value); }));
    }
  } catch (...) {
    failure = std::current_exception();
  }
  co_return co_await detail::decide(group, all, std::move(failure));
}

}  // namespace weft::co
