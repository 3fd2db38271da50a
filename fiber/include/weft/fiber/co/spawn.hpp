// Starts coroutines as tasks of their own, beside fibers on the same worker.
//
//     auto answer = weft::co::spawn(compute(17));     // runs once the caller waits
//     co_await answer.co_join();                        // in a coroutine; answer.join() in a fiber
//     print(answer.result());
//
// The handle is that of a fiber, and so is everything else about the task: its name, scopes,
// context values, its cancellation, its end. It holds no stack while it waits, but for what blocks:
// a call of the plain form, such as mutex::lock(), keeps the stack it runs on and another takes
// over. The destructor of the handle is such a call: it cancels the task and WAITS for its end.
//
// Threads: a task of the runtime, fiber or coroutine.
#pragma once

#include <functional>
#include <source_location>
#include <type_traits>
#include <utility>

#include <weft/fiber/co/task.hpp>
#include <weft/fiber/detail/manual_lifetime.hpp>
#include <weft/fiber/fiber.hpp>

namespace weft::co {

namespace detail {

// Where a task comes from: it was given, or a function returns it, which stays until it has ended.
struct from_task {
  template <class T>
  static task_frame<T> begin(task<T>&& given) noexcept {
    return task_access::take(std::move(given));
  }

  void end() noexcept {}
};

template <class Function>
class from_function {
public:
  template <class F>
  task_frame<typename std::invoke_result_t<Function>::value_type> begin(F&& function) {
    function_.emplace(std::forward<F>(function));
    return {};
  }

  auto make() { return task_access::take(std::invoke(*function_)); }

  void end() noexcept { function_.destroy(); }

private:
  weft::detail::manual_lifetime<Function> function_;
};

// The root of a task: it starts its first coroutine and keeps what comes of it.
template <class T, class Source>
class root_task final : public weft::detail::task_result<T>, private continuation {
public:
  template <class Given>
  root_task(std::in_place_t /*tag*/, Given&& given)
      : continuation(&root_task::on_end), first_(source_.begin(std::forward<Given>(given))) {}

  ~root_task() override {
    first_.destroy();  // before what it may use
    if (!this->has_outcome()) source_.end();
  }

  void run() noexcept override {
    try {
      if constexpr (!std::is_same_v<Source, from_task>) first_ = source_.make();
      if (!first_.run(*this)) return;
      keep_outcome();
    } catch (...) {
      this->keep_failure();
    }
    end();
  }

  void abandon() noexcept override {
    this->failure = weft::detail::cancelled_before_start();
    const expected_drops with_it;
    first_.destroy();
    source_.end();
  }

  const co_frame* first_coroutine() const noexcept override {
    return first_ ? &first_.promise() : nullptr;
  }

private:
  static void on_end(continuation& self) noexcept {
    auto& root = static_cast<root_task&>(self);
    try {
      root.keep_outcome();
    } catch (...) {
      root.keep_failure();
    }
    root.end();
  }

  void keep_outcome() {
    if constexpr (std::is_void_v<T>) {
      first_.promise().take();
      this->value.emplace();
    } else if constexpr (std::is_reference_v<T>) {
      this->value.emplace(&first_.promise().take());
    } else {
      this->value.emplace(first_.promise().take());
    }
  }

  void end() noexcept {
    first_.destroy();
    source_.end();
    weft::detail::running_worker->task_ended = true;
  }

  [[no_unique_address]] Source source_;
  task_frame<T> first_;
};

template <class Given>
struct task_of;

template <class T>
struct task_of<task<T>> {
  using value = T;
  using root = root_task<T, from_task>;
};

template <task_function Function>
struct task_of<Function> {
  using value = typename std::invoke_result_t<std::decay_t<Function>>::value_type;
  using root = root_task<value, from_function<std::decay_t<Function>>>;
};

template <class Given>
using value_of = typename task_of<Given>::value;

// Of what will not run, which its caller is told: not also that nobody has awaited it.
template <class Given>
void forget([[maybe_unused]] Given&& given) noexcept {
  if constexpr (is_task<Given>) {
    const expected_drops with_it;
    task_access::take(std::move(given));  // NOLINT: an rvalue
  }
}

template <class Given>
fiber<value_of<Given>> start_task(weft::detail::spawn_place place, const spawn_options& options,
                                  Given&& given, std::error_code& ec) {
  place.stackless = true;
  auto handle =
      weft::detail::handle_maker::spawn_task<value_of<Given>, typename task_of<Given>::root>(
          place, options, ec, std::in_place, std::forward<Given>(given));
  if (!handle) forget(std::forward<Given>(given));
  return handle;
}

template <class Given>
fiber<value_of<Given>> start_task(const weft::detail::spawn_place& place,
                                  const spawn_options& options, Given&& given) {
  std::error_code ec;
  auto handle = start_task(place, options, std::forward<Given>(given), ec);
  if (ec) weft::detail::throw_spawn_error(ec);
  return handle;
}

}  // namespace detail

/// Spawns `first` on the worker of the caller. Returns its handle; of `options` the stack size does
/// not count.
///
/// Errors: std::errc::not_enough_memory.
template <class T>
fiber<T> spawn(const spawn_options& options, task<T> first, std::error_code& ec) {
  return detail::start_task({}, options, std::move(first), ec);
}

/// The same; throws std::system_error where the overload above sets `ec`.
template <class T>
fiber<T> spawn(const spawn_options& options, task<T> first) {
  return detail::start_task({}, options, std::move(first));
}

/// The same with the default options.
template <class T>
fiber<T> spawn(task<T> first, std::source_location location = std::source_location::current()) {
  return spawn(spawn_options{.location = location}, std::move(first));
}

/// Spawns the task that `function()` returns. The function is kept until the task has ended: a
/// lambda may be a coroutine and use what it has captured. A frame that cannot be had fails the
/// task with std::bad_alloc.
template <task_function Function>
auto spawn(const spawn_options& options, Function&& function, std::error_code& ec) {
  return detail::start_task({}, options, std::forward<Function>(function), ec);
}

/// The same; throws std::system_error where the overload above sets `ec`.
template <task_function Function>
auto spawn(const spawn_options& options, Function&& function) {
  return detail::start_task({}, options, std::forward<Function>(function));
}

/// The same with the default options.
template <task_function Function>
auto spawn(Function&& function, std::source_location location = std::source_location::current()) {
  return spawn(spawn_options{.location = location}, std::forward<Function>(function));
}

/// The same on worker `index` of the runtime. Errors: as weft::spawn_on().
template <task_function Function>
auto spawn_on(std::size_t index, const spawn_options& options, Function&& function,
              std::error_code& ec) {
  weft::detail::scheduler* const worker = weft::detail::worker_at(index, ec);
  if (worker == nullptr) return fiber<detail::value_of<Function>>{};
  return detail::start_task({.worker = worker}, options, std::forward<Function>(function), ec);
}

/// The same; throws std::system_error where the overload above sets `ec`.
template <task_function Function>
auto spawn_on(std::size_t index, const spawn_options& options, Function&& function) {
  return detail::start_task({.worker = weft::detail::worker_at(index)}, options,
                            std::forward<Function>(function));
}

/// The same with the default options.
template <task_function Function>
auto spawn_on(std::size_t index, Function&& function,
              std::source_location location = std::source_location::current()) {
  return spawn_on(index, spawn_options{.location = location}, std::forward<Function>(function));
}

/// The same on the worker that has the fewest tasks. Errors: as weft::spawn_on().
template <task_function Function>
auto spawn_anywhere(const spawn_options& options, Function&& function, std::error_code& ec) {
  return detail::start_task({.worker = weft::detail::least_loaded_worker()}, options,
                            std::forward<Function>(function), ec);
}

/// The same; throws std::system_error where the overload above sets `ec`.
template <task_function Function>
auto spawn_anywhere(const spawn_options& options, Function&& function) {
  return detail::start_task({.worker = weft::detail::least_loaded_worker()}, options,
                            std::forward<Function>(function));
}

/// The same with the default options.
template <task_function Function>
auto spawn_anywhere(Function&& function,
                    std::source_location location = std::source_location::current()) {
  return spawn_anywhere(spawn_options{.location = location}, std::forward<Function>(function));
}

}  // namespace weft::co
