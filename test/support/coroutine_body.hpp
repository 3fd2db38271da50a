// A plain function as the body of a coroutine: where it wants to await something, the coroutine
// does. So the sentences of the conformance suite are written once, as functions, and their task
// still suspends as a whole and holds no stack of the worker while it waits.
//
// The function runs on a stack of its own, which the coroutine switches to and which switches back
// with what is to be awaited. It must not block meanwhile: the worker knows nothing of that stack.
// Threads: a task of a runtime.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include <weft/co.hpp>
#include <weft/fiber/fiber_local.hpp>

#include "context/context.hpp"
#include "context/exception_globals.hpp"
#include "context/sanitizer.hpp"

namespace weft::test {

class coroutine_body {
public:
  coroutine_body(const coroutine_body&) = delete;
  coroutine_body& operator=(const coroutine_body&) = delete;

  /// Runs `function` to its end; throws what it throws.
  static co::task<> run(std::function<void()> function) {
    const std::unique_ptr<coroutine_body> body{new coroutine_body{std::move(function)}};
    *current() = body.get();
    for (;;) {
      body->go_on();
      if (!body->wanted_) break;
      co::task<> operation = std::move(*body->wanted_);
      body->wanted_.reset();
      co_await std::move(operation);
    }
    *current() = nullptr;
    if (body->failure_) std::rethrow_exception(body->failure_);
  }

  /// Has the coroutine of the running task await what `make()` returns; returns what comes of it.
  template <class Make>
  static auto await(Make make);

private:
  static constexpr std::size_t stack_size = std::size_t{1} << 20;

  static void suspend_for(co::task<> operation) {
    coroutine_body& body = **current();
    body.wanted_.emplace(std::move(operation));
    body.leave();
  }

  explicit coroutine_body(std::function<void()> function)
      : function_(std::move(function)), stack_(new std::byte[stack_size]) {
    detail::read_floating_point_control(mine_);
    detail::start_context(mine_, stack_.get() + stack_size, stack_size, &coroutine_body::enter);
#ifdef WEFT_TSAN
    thread_sanitizers_ = __tsan_create_fiber(0);
#endif
  }

#ifdef WEFT_TSAN
  ~coroutine_body() { __tsan_destroy_fiber(thread_sanitizers_); }
#else
  ~coroutine_body() = default;
#endif

  friend std::default_delete<coroutine_body>;

  static fiber_local<coroutine_body*>& current() {
    static fiber_local<coroutine_body*> of_task;
    return of_task;
  }

  // By the coroutine: until the function awaits, or has ended.
  [[gnu::noinline]] void go_on() {
    std::swap(exceptions_, detail::thread_exception_globals());
#ifdef WEFT_ASAN
    void* fake_stack = nullptr;
    __sanitizer_start_switch_fiber(&fake_stack, stack_.get(), stack_size);
#endif
#ifdef WEFT_TSAN
    of_coroutine_ = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(thread_sanitizers_, 0);
#endif
    detail::switch_context(coroutines_, mine_);
#ifdef WEFT_ASAN
    __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
#endif
    std::swap(exceptions_, detail::thread_exception_globals());
  }

  // By the function.
  [[gnu::noinline]] void leave() {
#ifdef WEFT_ASAN
    __sanitizer_start_switch_fiber(ended_ ? nullptr : &fake_stack_, bottom_of_coroutine_,
                                   size_of_coroutine_);
#endif
#ifdef WEFT_TSAN
    // Whoever has blocked has come back as the coroutine.
    if (__tsan_get_current_fiber() != thread_sanitizers_) std::abort();
    __tsan_switch_to_fiber(of_coroutine_, 0);
#endif
    detail::switch_context(mine_, coroutines_);
    arrive();
  }

  void arrive() {
#ifdef WEFT_ASAN
    __sanitizer_finish_switch_fiber(fake_stack_, &bottom_of_coroutine_, &size_of_coroutine_);
#endif
  }

  static void enter() {
    coroutine_body& body = **current();
    body.arrive();
    try {
      body.function_();
    } catch (...) {
      body.failure_ = std::current_exception();
    }
    body.ended_ = true;
    body.leave();
  }

  std::function<void()> function_;
  std::unique_ptr<std::byte[]> stack_;
  detail::machine_context mine_;
  detail::machine_context coroutines_;
  detail::exception_globals exceptions_;  // of whichever of the two does not run
  std::optional<co::task<>> wanted_;
  std::exception_ptr failure_;
  bool ended_ = false;
#ifdef WEFT_ASAN
  void* fake_stack_ = nullptr;
  const void* bottom_of_coroutine_ = nullptr;
  std::size_t size_of_coroutine_ = 0;
#endif
#ifdef WEFT_TSAN
  void* thread_sanitizers_ = nullptr;
  void* of_coroutine_ = nullptr;
#endif
};

// What co_await of it returns.
template <class Operation>
struct awaited_result {
  using type = decltype(std::declval<Operation&>().await_resume());
};

template <class T>
struct awaited_result<co::task<T>> {
  using type = T;
};

template <class Make>
auto coroutine_body::await(Make make) {
  using result = typename awaited_result<std::invoke_result_t<Make&>>::type;
  // void has no values.
  using stored = std::conditional_t<std::is_void_v<result>, std::monostate, result>;
  std::optional<stored> value;
  std::exception_ptr failure;
  suspend_for(
      [](Make& begin, std::optional<stored>& got, std::exception_ptr& thrown) -> co::task<> {
        try {
          if constexpr (std::is_void_v<result>) {
            co_await begin();
            got.emplace();
          } else {
            got.emplace(co_await begin());
          }
        } catch (...) {
          thrown = std::current_exception();
        }
      }(make, value, failure));
  if (failure) std::rethrow_exception(failure);
  if constexpr (!std::is_void_v<result>) return std::move(*value);
}

}  // namespace weft::test
