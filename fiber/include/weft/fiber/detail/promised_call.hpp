// Functions whose outcome goes to a std::future. Not for users.
#pragma once

#include <exception>
#include <functional>
#include <future>
#include <optional>
#include <type_traits>
#include <utility>

#include <weft/fiber/co/task.hpp>
#include <weft/fiber/detail/task.hpp>

namespace weft::detail {

// A function, and the promise of what comes of it.
template <class Function, class Result>
class promised {
public:
  template <class F>
  promised(std::in_place_t, F&& function)
      : function_(std::forward<F>(function)), promise_(std::in_place) {}

  promised(promised&& other) noexcept(std::is_nothrow_move_constructible_v<Function>)
      : function_(std::move(other.function_)), promise_(std::move(other.promise_)) {
    other.promise_.reset();
  }

  // One that was never called was cancelled.
  ~promised() {
    if (promise_) promise_->set_exception(cancelled_before_start());
  }

  std::future<Result> get_future() { return promise_->get_future(); }

protected:
  std::promise<Result> take_promise() {
    std::promise<Result> taken = std::move(*promise_);
    promise_.reset();
    return taken;
  }

  Function function_;

private:
  std::optional<std::promise<Result>> promise_;
};

template <class Function>
class promised_call : public promised<Function, std::invoke_result_t<Function>> {
public:
  using result = std::invoke_result_t<Function>;
  using promised<Function, result>::promised;

  void operator()() {
    std::promise<result> promise = this->take_promise();
    try {
      if constexpr (std::is_void_v<result>) {
        std::invoke(std::move(this->function_));
        promise.set_value();
      } else {
        promise.set_value(std::invoke(std::move(this->function_)));
      }
    } catch (...) {
      promise.set_exception(std::current_exception());
    }
  }
};

// The same for a function that returns a co::task.
template <class Function>
class promised_task
    : public promised<Function, typename std::invoke_result_t<Function&>::value_type> {
public:
  using result = typename std::invoke_result_t<Function&>::value_type;
  using promised<Function, result>::promised;

  co::task<> operator()() {
    try {
      return run();
    } catch (...) {  // no memory for the frame
      this->take_promise().set_exception(std::current_exception());
      throw;
    }
  }

private:
  co::task<> run() {
    std::promise<result> promise = this->take_promise();
    try {
      if constexpr (std::is_void_v<result>) {
        co_await std::invoke(this->function_);
        promise.set_value();
      } else {
        promise.set_value(co_await std::invoke(this->function_));
      }
    } catch (...) {
      promise.set_exception(std::current_exception());
    }
  }
};

}  // namespace weft::detail
