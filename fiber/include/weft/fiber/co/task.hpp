// A coroutine that returns a T to the coroutine that awaits it.
//
//     weft::co::task<int> answer() { co_return 6 * 7; }
//     weft::co::task<> ask() { print(co_await answer()); }
//
// It is lazy: it begins when it is awaited, and then runs as a call would: on the same task, in the
// same cancel scopes, with the same context values, and without another stack. A task is awaited
// once, or given to co::spawn() or co::block_on(); one that is dropped before that never runs, and
// one line on the diagnostics sink says so.
//
// It awaits tasks, the operations of weft, and nothing else: no operation that has a name, which
// could be awaited twice, and no awaitable of another library, which would go on in its own way.
//
// Types aligned to more than operator new aligns to (16 bytes on x86-64) have no place in a
// coroutine: neither as what it returns or yields, which does not compile, nor as a parameter or
// a variable that lives across a co_await, which the compiler then misplaces without a word.
//
// Neither errno nor the floating-point control (rounding, exception masks) are kept across a
// co_await: other coroutines run on the same stack meanwhile. A task begins with the control of the
// thread, and finds that of no fiber; that of another coroutine it may find after a co_await.
//
// g++ 12 makes a crash of a coroutine whose body is nothing but one `if` or `while` with a co_await
// in its condition. A declaration cures it, there too: `while (auto line = co_await next())`.
//
// And it destroys twice what an expression with a co_await makes of an aggregate, or of a lambda
// that captures by value, where that has members with a destructor. With a name they are safe:
//
//     message greeting{name, 1};                              // not co_send(message{name, 1})
//     co_await channel.co_send(std::move(greeting));
//     auto ask = [name]() -> co::task<> { ... };              // not with_timeout(2s, [name] ...)
//     co_await co::with_timeout(2s, std::move(ask));
//
// Threads: one at a time may hold or move it; it runs on the worker of the task that awaits it.
#pragma once

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <source_location>
#include <type_traits>
#include <utility>
#include <variant>

#include <weft/fiber/detail/continuation.hpp>
#include <weft/fiber/detail/frame_memory.hpp>

namespace weft::co {

template <class T = void>
class task;

namespace detail {

using weft::detail::co_frame;
using weft::detail::continuation;

[[noreturn]] void awaited_twice() noexcept;
void report_never_awaited(const std::source_location& where) noexcept;

// While it lives, tasks that the running task drops are not reported: they go with a coroutine that
// does not run because it was cancelled before, or could not be spawned, and that is known.
class expected_drops {
public:
  expected_drops() noexcept;
  expected_drops(const expected_drops&) = delete;
  expected_drops& operator=(const expected_drops&) = delete;
  ~expected_drops();

private:
  const void* const task_;
};

// The compilers align no frame of a coroutine to more (g++ 12, clang 16).
template <class T>
inline constexpr bool fits_into_a_frame = alignof(T) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__;

// What all promises of tasks do.
class task_promise_base : public co_frame {
public:
  static void* operator new(std::size_t size) { return weft::detail::allocate_frame(size); }

  static void operator delete(void* frame, std::size_t size) noexcept {
    weft::detail::free_frame(frame, size);
  }

  std::suspend_always
  initial_suspend(weft::detail::call_place where = __builtin_source_location()) noexcept {
    at = weft::detail::location_of(where);
    return {};
  }

  void unhandled_exception() noexcept { failure_ = std::current_exception(); }

protected:
  void rethrow_failure() {
    if (failure_) std::rethrow_exception(std::move(failure_));
  }

private:
  std::exception_ptr failure_;
};

template <class T>
class task_promise final : public task_promise_base {
  static_assert(fits_into_a_frame<T>,
                "a coroutine cannot return a type that is aligned to more than operator new aligns "
                "to; return a std::unique_ptr of it");

public:
  task<T> get_return_object() noexcept;

  template <class U = T>
    requires std::constructible_from<T, U>
  void return_value(U&& value) {
    value_.emplace(std::forward<U>(value));
  }

  T take() {
    rethrow_failure();
    return std::move(*value_);
  }

private:
  std::optional<T> value_;
};

template <class T>
class task_promise<T&> final : public task_promise_base {
public:
  task<T&> get_return_object() noexcept;

  void return_value(T& value) noexcept { value_ = std::addressof(value); }

  T& take() {
    rethrow_failure();
    return *value_;
  }

private:
  T* value_ = nullptr;
};

template <>
class task_promise<void> final : public task_promise_base {
public:
  task<void> get_return_object() noexcept;

  void return_void() noexcept {}

  void take() { rethrow_failure(); }
};

// The frame of a task, and what ends it.
template <class T>
class task_frame {
public:
  using handle = std::coroutine_handle<task_promise<T>>;

  task_frame() noexcept = default;

  explicit task_frame(handle frame) noexcept : handle_(frame) {}

  task_frame(task_frame&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}

  task_frame& operator=(task_frame&& other) noexcept {
    if (this != &other) {
      destroy();
      handle_ = std::exchange(other.handle_, nullptr);
    }
    return *this;
  }

  ~task_frame() { destroy(); }

  explicit operator bool() const noexcept { return handle_ != nullptr; }

  void destroy() noexcept {
    if (handle_) std::exchange(handle_, nullptr).destroy();
  }

  // Runs it until it has ended or the task has suspended. Returns whether it has ended; if not, it
  // goes on in `then` once it has.
  bool run(continuation& then) {
    handle_.resume();
    if (handle_.done()) return true;
    handle_.promise().awaited_by = &then;
    return false;
  }

  task_promise<T>& promise() const noexcept { return handle_.promise(); }

private:
  handle handle_;
};

// What co_await of a task does.
template <class T>
class task_awaiter final : public continuation {
public:
  explicit task_awaiter(task_frame<T> awaited, co_frame* by = nullptr) noexcept
      : continuation(&co_frame::resume_caller, by), awaited_(std::move(awaited)) {
    if (!awaited_) awaited_twice();
  }

  bool await_ready() {
    frame->awaits = &awaited_.promise();
    return awaited_.run(*this);
  }

  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> /*waiting*/) const noexcept {
    static_assert(std::is_base_of_v<co_frame, Promise>,
                  "a co::task is awaited in coroutines of weft, or given to co::block_on()");
  }

  T await_resume() {
    frame->awaits = nullptr;
    return awaited_.promise().take();
  }

  task_awaiter awaited_in(co_frame& by) && noexcept {
    return task_awaiter{std::move(awaited_), &by};
  }

private:
  task_frame<T> awaited_;
};

struct task_access;

}  // namespace detail

template <class T>
class [[nodiscard]] task {
public:
  using promise_type = detail::task_promise<T>;
  using value_type = T;

  task(task&& other) noexcept = default;

  task& operator=(task&& other) noexcept {
    if (this != &other) {
      drop();
      frame_ = std::move(other.frame_);
    }
    return *this;
  }

  ~task() { drop(); }

  /// Whether it can be awaited: neither moved from nor awaited already.
  explicit operator bool() const noexcept { return static_cast<bool>(frame_); }

  /// Runs it; `co_await std::move(kept)` for one that has a name. Awaiting it twice ends the
  /// process with one line.
  ///
  /// Returns what it returns. Waits, ends and errors: as what it does.
  detail::task_awaiter<T> operator co_await() && noexcept {
    return detail::task_awaiter<T>{std::move(frame_)};
  }

  // Not for users: the same in a coroutine of weft.
  detail::task_awaiter<T> awaited_in(weft::detail::co_frame& by) && noexcept {
    return detail::task_awaiter<T>{std::move(frame_), &by};
  }

private:
  friend promise_type;
  friend detail::task_access;

  explicit task(typename detail::task_frame<T>::handle frame) noexcept : frame_(frame) {}

  void drop() noexcept {
    if (frame_) detail::report_never_awaited(frame_.promise().at);
  }

  detail::task_frame<T> frame_;
};

namespace detail {

template <class T>
task<T> task_promise<T>::get_return_object() noexcept {
  const auto handle = std::coroutine_handle<task_promise>::from_promise(*this);
  self = handle;
  return task<T>{handle};
}

template <class T>
task<T&> task_promise<T&>::get_return_object() noexcept {
  const auto handle = std::coroutine_handle<task_promise>::from_promise(*this);
  self = handle;
  return task<T&>{handle};
}

inline task<void> task_promise<void>::get_return_object() noexcept {
  const auto handle = std::coroutine_handle<task_promise>::from_promise(*this);
  self = handle;
  return task<void>{handle};
}

struct task_access {
  template <class T>
  static task_frame<T> take(task<T>&& from) noexcept {
    if (!from.frame_) awaited_twice();
    return std::move(from.frame_);
  }
};

template <class T>
inline constexpr bool is_task = false;
template <class T>
inline constexpr bool is_task<task<T>> = true;

}  // namespace detail

/// A function without arguments that returns a co::task.
template <class Function>
concept task_function = std::constructible_from<std::decay_t<Function>, Function> &&
                        std::invocable<std::decay_t<Function>> &&
                        detail::is_task<std::invoke_result_t<std::decay_t<Function>>>;

}  // namespace weft::co
