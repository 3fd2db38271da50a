// What a fiber runs and what came of it, behind one type for the scheduler. Not for users.
#pragma once

#include <exception>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include <weft/fiber/detail/atomic.hpp>
#include <weft/fiber/detail/manual_lifetime.hpp>

namespace weft::detail {

struct co_frame;

// What becomes of a fiber that was cancelled before it started. A runtime makes it when it is
// constructed, which may fail; from then on it is there, however short of memory the process is.
const std::exception_ptr& cancelled_before_start();

// Runs once, on its fiber, and then keeps the outcome until the last handle is gone.
class task_base {
public:
  task_base() = default;
  task_base(const task_base&) = delete;
  task_base& operator=(const task_base&) = delete;
  virtual ~task_base() = default;

  // Calls the function, keeps what it returns or throws, and destroys it: on the fiber, so that
  // what it has captured may wait.
  virtual void run() noexcept = 0;
  // Instead of run(), for a fiber cancelled before it started.
  virtual void abandon() noexcept = 0;

  // The outermost of the coroutines it is made of; null before the first and after the last one.
  virtual const co_frame* first_coroutine() const noexcept { return nullptr; }

  // For a catch block. An exception of another language has no std::exception_ptr.
  void keep_failure() noexcept {
    failure = std::current_exception();
    if (failure == nullptr) failure = std::make_exception_ptr(std::bad_exception{});
  }

  std::exception_ptr failure;
  // `failure` is errc::cancelled after a request: written by the fiber before it is `done`.
  bool cancelled = false;
  // Somebody has seen `failure`. Relaxed: one exchange decides who reports it, and what is read
  // with it does not change.
  atomic<bool> retrieved{false};
};

template <class T>
class task_result : public task_base {
public:
  // void becomes monostate and T& a pointer, so that one optional holds them all.
  using stored = std::conditional_t<
      std::is_void_v<T>, std::monostate,
      std::conditional_t<std::is_reference_v<T>, std::add_pointer_t<T>, std::remove_cv_t<T>>>;

  std::optional<stored> value;

protected:
  // Whether the function has been run, or abandoned. Until then it is there.
  bool has_outcome() const noexcept { return value.has_value() || this->failure != nullptr; }
};

template <class Function>
class task final : public task_result<std::invoke_result_t<Function>> {
public:
  template <class F>
  task(std::in_place_t, F&& function) {
    function_.emplace(std::forward<F>(function));
  }

  ~task() override {
    if (!this->has_outcome()) function_.destroy();
  }

  void run() noexcept override {
    using result = std::invoke_result_t<Function>;
    try {
      if constexpr (std::is_void_v<result>) {
        std::invoke(std::move(*function_));
        this->value.emplace();
      } else if constexpr (std::is_reference_v<result>) {
        this->value.emplace(&std::invoke(std::move(*function_)));
      } else {
        this->value.emplace(std::invoke(std::move(*function_)));
      }
    } catch (...) {
      this->keep_failure();
    }
    function_.destroy();
  }

  void abandon() noexcept override {
    this->failure = cancelled_before_start();
    function_.destroy();
  }

private:
  manual_lifetime<Function> function_;
};

}  // namespace weft::detail
