// Coroutines that return many values, one at a time, each when it is asked for.
//
//     co::generator<int> count(int to) { for (int i = 0; i < to; ++i) co_yield i; }
//     for (int each : count(3)) print(each);
//
//     co::async_generator<std::string> lines(net::stream& from);   // may co_await between values
//     while (auto line = co_await lines(peer).next()) ...          // empty after the last
//
// One that is dropped before its end is destroyed where it has yielded. Scopes (weft::timeout,
// weft::shield) and context_bindings belong to the task, not to the generator: one that is held
// across a co_yield would govern the consumer, and must not be.
// Threads: a generator one at a time; an async_generator the coroutines of one task.
#pragma once

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <iterator>
#include <memory>
#include <optional>
#include <source_location>
#include <type_traits>
#include <utility>

#include <weft/fiber/co/task.hpp>
#include <weft/fiber/detail/continuation.hpp>
#include <weft/fiber/detail/frame_memory.hpp>

namespace weft::co {

namespace detail {

[[noreturn]] void used_after_move() noexcept;
[[noreturn]] void begun_twice() noexcept;

// The handle of a frame that goes with it.
template <class Promise>
class owned_frame {
public:
  explicit owned_frame(std::coroutine_handle<Promise> frame) noexcept : handle_(frame) {}

  owned_frame(owned_frame&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}

  owned_frame& operator=(owned_frame&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }

  ~owned_frame() {
    if (handle_) destroy(handle_);
  }

  std::coroutine_handle<Promise> operator*() const noexcept {
    if (!handle_) used_after_move();
    return handle_;
  }

private:
  // Not in line, or Clang would put the frame into that of the coroutine which owns this, and a
  // task_group of the generator, which waits when it is dropped, were one of that coroutine.
  [[gnu::noinline]] static void destroy(std::coroutine_handle<Promise> frame) { frame.destroy(); }

  std::coroutine_handle<Promise> handle_;
};

struct frame_allocation {
  static void* operator new(std::size_t size) { return weft::detail::allocate_frame(size); }

  static void operator delete(void* frame, std::size_t size) noexcept {
    weft::detail::free_frame(frame, size);
  }
};

}  // namespace detail

/// A range of T that is computed step by step. It never waits: what waits is an async_generator.
template <class T>
class [[nodiscard]] generator {
  using value = std::remove_reference_t<T>;

public:
  class promise_type : public detail::frame_allocation {
  public:
    generator get_return_object() noexcept {
      return generator{std::coroutine_handle<promise_type>::from_promise(*this)};
    }

    std::suspend_always initial_suspend() const noexcept { return {}; }

    std::suspend_always final_suspend() const noexcept { return {}; }

    // Where it stands in the coroutine, until the next step.
    std::suspend_always yield_value(value& yielded) noexcept {
      value_ = std::addressof(yielded);
      return {};
    }

    std::suspend_always yield_value(value&& yielded) noexcept {
      value_ = std::addressof(yielded);
      return {};
    }

    // A copy, which the consumer may change.
    auto yield_value(const value& yielded)
      requires(!std::is_reference_v<T> && !std::is_const_v<value> && std::copy_constructible<value>)
    {
      static_assert(detail::fits_into_a_frame<value>,
                    "a coroutine cannot hold the copy of a type that is aligned to more than "
                    "operator new aligns to; yield one that is not const");
      return copied{*this, yielded};
    }

    void return_void() const noexcept {}

    void unhandled_exception() { throw; }

    template <class Awaitable>
    void await_transform(Awaitable&&) = delete;  // see async_generator

  private:
    friend generator;

    struct copied : std::suspend_always {
      copied(promise_type& promise, const value& yielded) : copy(yielded) {
        promise.value_ = std::addressof(copy);
      }

      copied(const copied&) = delete;
      copied& operator=(const copied&) = delete;

      value copy;
    };

    value* value_ = nullptr;
  };

  class iterator {
  public:
    using iterator_concept = std::input_iterator_tag;
    using value_type = std::remove_cv_t<value>;
    using difference_type = std::ptrdiff_t;

    value& operator*() const noexcept { return *frame_.promise().value_; }

    /// Computes the next value. Errors: what the coroutine throws, after which it is at its end.
    iterator& operator++() {
      frame_.resume();
      return *this;
    }

    void operator++(int) { frame_.resume(); }

    friend bool operator==(const iterator& place, std::default_sentinel_t) noexcept {
      return place.frame_.done();
    }

  private:
    friend generator;

    explicit iterator(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}

    std::coroutine_handle<promise_type> frame_;
  };

  /// Computes the first value; to be called once, and not after it was moved from: else the process
  /// ends with one line.
  iterator begin() {
    const auto frame = *frame_;
    if (frame.done() || frame.promise().value_ != nullptr) detail::begun_twice();
    frame.resume();
    return iterator{frame};
  }

  std::default_sentinel_t end() const noexcept { return {}; }

private:
  explicit generator(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}

  detail::owned_frame<promise_type> frame_;
};

/// Values of type T that a coroutine computes, and may wait for. It runs as part of the task that
/// asks for the next one.
template <std::move_constructible T>
class [[nodiscard]] async_generator {
  static_assert(detail::fits_into_a_frame<T>,
                "a coroutine cannot yield a type that is aligned to more than operator new aligns "
                "to; yield a std::unique_ptr of it");

  static_assert(
      !std::is_reference_v<T>,
      "an async_generator keeps what it yields: T is no reference, but perhaps a pointer");

public:
  class promise_type : public weft::detail::co_frame, public detail::frame_allocation {
  public:
    async_generator get_return_object() noexcept {
      const auto handle = std::coroutine_handle<promise_type>::from_promise(*this);
      self = handle;
      return async_generator{handle};
    }

    std::suspend_always
    initial_suspend(weft::detail::call_place where = __builtin_source_location()) noexcept {
      at = weft::detail::location_of(where);
      return {};
    }

    weft::detail::coming_back yield_value(T value) {
      value_.emplace(std::move(value));
      return {};
    }

    void return_void() const noexcept {}

    void unhandled_exception() noexcept { failure_ = std::current_exception(); }

  private:
    friend async_generator;

    std::optional<T> value_;
    std::exception_ptr failure_;
  };

  class step;

  /// Computes the next value: `co_await generator.next()` returns it, or nothing after the last.
  ///
  /// Waits, ends and errors: as what the coroutine does; after an error it is at its end. To ask
  /// one that was moved from ends the process with one line.
  step next() noexcept { return step{*frame_}; }

private:
  explicit async_generator(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}

  detail::owned_frame<promise_type> frame_;
};

template <std::move_constructible T>
class [[nodiscard]] async_generator<T>::step final : public weft::detail::continuation {
public:
  explicit step(std::coroutine_handle<promise_type> awaited,
                weft::detail::co_frame* by = nullptr) noexcept
      : continuation(&weft::detail::co_frame::resume_caller, by), awaited_(awaited) {}

  bool await_ready() {
    promise_type& promise = awaited_.promise();
    promise.value_.reset();
    promise.awaited_by = nullptr;
    if (awaited_.done()) return true;
    frame->awaits = &promise;
    awaited_.resume();
    if (promise.value_ || awaited_.done()) return true;
    promise.awaited_by = this;
    return false;
  }

  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> /*waiting*/) const noexcept {
    static_assert(std::is_base_of_v<weft::detail::co_frame, Promise>,
                  "an async_generator is awaited in coroutines of weft");
  }

  std::optional<T> await_resume() {
    frame->awaits = nullptr;
    promise_type& promise = awaited_.promise();
    if (promise.failure_) std::rethrow_exception(std::exchange(promise.failure_, nullptr));
    return std::exchange(promise.value_, std::nullopt);
  }

  step awaited_in(weft::detail::co_frame& by) && noexcept { return step{awaited_, &by}; }

private:
  std::coroutine_handle<promise_type> awaited_;
};

}  // namespace weft::co
