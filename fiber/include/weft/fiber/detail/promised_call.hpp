// A function whose outcome goes to a std::future. Not for users.
#pragma once

#include <exception>
#include <functional>
#include <future>
#include <optional>
#include <type_traits>
#include <utility>

#include <weft/fiber/detail/task.hpp>

namespace weft::detail {

template <class Function>
class promised_call {
public:
  using result = std::invoke_result_t<Function>;

  template <class F>
  promised_call(std::in_place_t, F&& function)
      : function_(std::forward<F>(function)), promise_(std::in_place) {}

  promised_call(promised_call&& other) noexcept(std::is_nothrow_move_constructible_v<Function>)
      : function_(std::move(other.function_)), promise_(std::exchange(other.promise_, {})) {}

  // One that was never called was cancelled.
  ~promised_call() {
    if (promise_) promise_->set_exception(cancelled_before_start());
  }

  std::future<result> get_future() { return promise_->get_future(); }

  void operator()() {
    std::promise<result> promise = *std::exchange(promise_, {});
    try {
      if constexpr (std::is_void_v<result>) {
        std::invoke(std::move(function_));
        promise.set_value();
      } else {
        promise.set_value(std::invoke(std::move(function_)));
      }
    } catch (...) {
      promise.set_exception(std::current_exception());
    }
  }

private:
  Function function_;
  std::optional<std::promise<result>> promise_;
};

}  // namespace weft::detail
