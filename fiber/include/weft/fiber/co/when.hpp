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

#include <weft/fiber/co/spawn.hpp>
#include <weft/fiber/co/task.hpp>
#include <weft/fiber/co/with_task_group.hpp>
#include <weft/fiber/error.hpp>
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

// A result that a vector or a variant holds. (A reference fits into a tuple alone: that
// when_all().)
template <class T>
concept no_reference = !std::is_reference_v<T>;

// Whose group nobody else sees: the failures after the first are reported to nobody.
class first_failure_only {
public:
  explicit first_failure_only(task_group& group) noexcept : group_(group) {}

  first_failure_only(const first_failure_only&) = delete;
  first_failure_only& operator=(const first_failure_only&) = delete;

  ~first_failure_only() { group_.core_.retrieve_errors(); }

private:
  task_group& group_;
};

// After a spawn has failed: those that have not come to theirs.
template <class T>
void forget_if_left(task<T>& each) noexcept {
  if (each) forget(std::move(each));
}

}  // namespace detail

/// Awaits all of `tasks`. Returns their results in a tuple, in this order; std::monostate stands
/// for a task<>.
///
/// Errors: what the first to fail has thrown; it cancels the others, and they have ended. What they
///         throw after it is dropped, and not reported as unhandled either.
template <class... T>
task<std::tuple<detail::result_of<T>...>> when_all(task<T>... tasks) {
  task_group group;
  std::tuple<task_group::child<T>...> children;
  const detail::first_failure_only rule{group};
  std::exception_ptr failure;
  try {
    children = std::tuple<task_group::child<T>...>{group.spawn(std::move(tasks))...};
  } catch (...) {
    failure = std::current_exception();
    (detail::forget_if_left(tasks), ...);
  }
  co_await detail::leave(group, failure);
  co_return std::apply(
      [](auto&... child) {
        return std::tuple<detail::result_of<T>...>{detail::take_result(child)...};
      },
      children);
}

/// The same for as many as there are; returns the results in their order.
template <detail::no_reference T>
task<std::vector<detail::result_of<T>>> when_all(std::vector<task<T>> tasks) {
  task_group group;
  std::vector<task_group::child<T>> children;
  const detail::first_failure_only rule{group};
  std::exception_ptr failure;
  try {
    children.reserve(tasks.size());
    for (task<T>& each : tasks) children.push_back(group.spawn(std::move(each)));
  } catch (...) {
    failure = std::current_exception();
    for (task<T>& each : tasks) detail::forget_if_left(each);
  }
  co_await detail::leave(group, failure);
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

// What those that race share. It is decided once the group is cancelled: by the first to end, which
// leaves what came of it here, or with the caller, which leaves nothing.
template <class Result>
struct race {
  task_group& group;
  std::optional<first_result<Result>> first;
  std::exception_ptr failure;
};

template <class T>
task_awaiter<T> run_frame(task_frame<T>& frame) noexcept {
  return task_awaiter<T>{std::move(frame)};
}

// Runs one of them. What comes after the first does not count. Takes the frame of a task, which is
// dropped without a word if it never comes to run.
template <class T, class Result, class Make>
task<> compete(race<Result>& all, std::size_t index, task_frame<T> mine, Make make) {
  std::exception_ptr failure;
  std::optional<result_of<T>> value;
  try {
    if constexpr (std::is_void_v<T>) {
      co_await run_frame(mine);
      value.emplace();
    } else {
      value.emplace(co_await run_frame(mine));
    }
  } catch (...) {
    failure = std::current_exception();
  }
  if (all.group.cancel_requested()) co_return;
  all.group.request_cancel();
  try {
    if (!failure) all.first.emplace(first_result<Result>{index, make(std::move(*value))});
  } catch (...) {
    failure = std::current_exception();
  }
  all.failure = std::move(failure);
}

// Once all have ended, the caller's wait for them with `ec`.
template <class Result>
first_result<Result> take_first(race<Result>& all, std::exception_ptr spawn_failure,
                                std::error_code ec) {
  if (spawn_failure) std::rethrow_exception(std::move(spawn_failure));
  if (all.failure) std::rethrow_exception(std::move(all.failure));
  if (all.first) return std::move(*all.first);
  // Without an error of the caller's, all were cancelled before they started.
  throw std::system_error(ec ? ec : make_error_code(errc::cancelled), "co::when_any");
}

template <std::size_t... Index, class... T, class Result>
void start_race(std::index_sequence<Index...> /*places*/, race<Result>& all, task<T>&... tasks) {
  (all.group.spawn(compete(all, Index, task_access::take(std::move(tasks)),
                           [](result_of<T>&& value) {
                             return Result{std::in_place_index<Index>, std::move(value)};
                           })),
   ...);
}

}  // namespace detail

/// Awaits the first of `tasks` to end, cancels the others and awaits their end too. Returns which
/// it was, and its result in a variant with one alternative for each task. One that has not begun
/// when another ends never runs; what comes of the others, exceptions too, is dropped.
///
/// Errors: what the first to end has thrown; errc::cancelled and errc::timed_out of the caller.
template <detail::no_reference... T>
task<first_result<std::variant<detail::result_of<T>...>>> when_any(task<T>... tasks) {
  static_assert(sizeof...(T) > 0, "when_any of no task would never end");
  task_group group;
  detail::race<std::variant<detail::result_of<T>...>> all{group, {}, {}};
  std::exception_ptr failure;
  try {
    detail::start_race(std::index_sequence_for<T...>{}, all, tasks...);
  } catch (...) {
    failure = std::current_exception();
    group.request_cancel();
    (detail::forget_if_left(tasks), ...);
  }
  std::error_code ec;
  co_await group.co_join(ec);
  co_return detail::take_first(all, std::move(failure), ec);
}

/// The same for as many as there are; their results are of one type. Errors: also
/// std::invalid_argument for none.
template <detail::no_reference T>
task<first_result<detail::result_of<T>>> when_any(std::vector<task<T>> tasks) {
  if (tasks.empty()) throw std::invalid_argument("co::when_any of no task would never end");
  task_group group;
  detail::race<detail::result_of<T>> all{group, {}, {}};
  std::exception_ptr failure;
  try {
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      group.spawn(detail::compete(all, i, detail::task_access::take(std::move(tasks[i])),
                                  [](detail::result_of<T>&& value) { return std::move(value); }));
    }
  } catch (...) {
    failure = std::current_exception();
    group.request_cancel();
    for (task<T>& each : tasks) detail::forget_if_left(each);
  }
  std::error_code ec;
  co_await group.co_join(ec);
  co_return detail::take_first(all, std::move(failure), ec);
}

}  // namespace weft::co
