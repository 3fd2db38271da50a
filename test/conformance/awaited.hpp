// The primitives in the form that coroutines await, behind the calls of the form that blocks: so
// that the sentences of the conformance suite are written once.
//
// Threads: tasks of a runtime, in the body of a coroutine; see coroutine_body.hpp.
#pragma once

#include <chrono>
#include <concepts>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <system_error>
#include <utility>

#include <weft/co.hpp>

#include "support/coroutine_body.hpp"

namespace weft::test::awaited {

/// Awaits what `make()` returns and returns what comes of it.
template <class Make>
auto await(Make make) {
  return coroutine_body::await(std::move(make));
}

/// The same for an operation that is a co::task.
template <class T>
T await_task(co::task<T> task) {
  return await([&] { return std::move(task); });
}

class mutex : public weft::mutex {
public:
  void lock() {
    await([this] { return co_lock(); });
  }

  void lock(std::error_code& ec) {
    await([&] { return co_lock(ec); });
  }

  bool try_lock_for(any_duration duration, std::error_code& ec) {
    return await([&] { return co_try_lock_for(duration, ec); });
  }

  bool try_lock_for(any_duration duration) {
    return await([&] { return co_try_lock_for(duration); });
  }
};

class event : public weft::event {
public:
  void wait() {
    await([this] { return co_wait(); });
  }

  void wait(std::error_code& ec) {
    await([&] { return co_wait(ec); });
  }

  bool wait_for(any_duration duration) {
    return await([&] { return co_wait_for(duration); });
  }

  bool wait_for(any_duration duration, std::error_code& ec) {
    return await([&] { return co_wait_for(duration, ec); });
  }
};

class semaphore : public weft::semaphore {
public:
  using weft::semaphore::semaphore;

  void acquire() {
    await([this] { return co_acquire(); });
  }

  void acquire(std::error_code& ec) {
    await([&] { return co_acquire(ec); });
  }

  bool try_acquire_for(any_duration duration) {
    return await([&] { return co_try_acquire_for(duration); });
  }

  bool try_acquire_for(any_duration duration, std::error_code& ec) {
    return await([&] { return co_try_acquire_for(duration, ec); });
  }
};

template <class T>
class channel : public weft::channel<T> {
public:
  using weft::channel<T>::channel;

  void send(T value) {
    await([&] { return this->co_send(std::move(value)); });
  }

  void send(T value, std::error_code& ec) {
    await([&] { return this->co_send(std::move(value), ec); });
  }

  bool send_for(T value, any_duration duration) {
    return await([&] { return this->co_send_for(std::move(value), duration); });
  }

  std::optional<T> receive() {
    return await([this] { return this->co_receive(); });
  }

  std::optional<T> receive_for(any_duration duration) {
    return await([&] { return this->co_receive_for(duration); });
  }

  std::optional<T> receive(std::error_code& ec) {
    return await([&] { return this->co_receive(ec); });
  }
};

// Calls `wait` with a lock of the type that weft's own condition_variable takes.
template <class Wait>
auto with(std::unique_lock<mutex>& lock, Wait&& wait) {
  std::unique_lock<weft::mutex> held{*lock.mutex(), std::adopt_lock};

  struct release {
    std::unique_lock<weft::mutex>& lock;

    ~release() { lock.release(); }
  } const at_the_end{held};

  return wait(held);
}

class condition_variable : public weft::condition_variable {
public:
  using lock_type = std::unique_lock<mutex>;

  void wait(lock_type& lock) {
    with(lock, [&](auto& held) { await_task(co_wait(held)); });
  }

  void wait(lock_type& lock, std::error_code& ec) {
    with(lock, [&](auto& held) { await_task(co_wait(held, ec)); });
  }

  template <std::predicate Condition>
  void wait(lock_type& lock, Condition condition) {
    with(lock, [&](auto& held) { await_task(co_wait(held, condition)); });
  }

  template <std::predicate Condition>
  void wait(lock_type& lock, Condition condition, std::error_code& ec) {
    with(lock, [&](auto& held) { await_task(co_wait(held, condition, ec)); });
  }

  std::cv_status wait_for(lock_type& lock, any_duration duration) {
    return with(lock, [&](auto& held) { return await_task(co_wait_for(held, duration)); });
  }

  template <std::predicate Condition>
  bool wait_for(lock_type& lock, any_duration duration, Condition condition) {
    return with(lock,
                [&](auto& held) { return await_task(co_wait_for(held, duration, condition)); });
  }
};

inline void sleep_for(any_duration duration) {
  await([&] { return co::sleep_for(duration); });
}

inline void sleep_for(any_duration duration, std::error_code& ec) {
  await([&] { return co::sleep_for(duration, ec); });
}

}  // namespace weft::test::awaited
