// The ways in which the conformance suite is run: the same bodies as native fibers, as plain
// threads, and as coroutines that await every operation, or call what blocks.
//
// A mode runs a body, starts tasks beside it, says when a task has come to wait, and has the
// primitives in the form that its tasks use.
// Threads: the body starts and joins its tasks.
#pragma once

#include <atomic>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include <gtest/gtest.h>

#include <weft/co.hpp>
#include <weft/fiber.hpp>
#include <weft/fiber/testing.hpp>

#include "conformance/awaited.hpp"
#include "support/runtime_fixture.hpp"

namespace weft::test {

/// The scope that a task runs in, for whoever cancels it.
class task_scope {
public:
  void run(const std::function<void()>& body) {
    cancel_scope mine;
    set(&mine);
    body();
    set(nullptr);
    ended_ = true;
  }

  /// Cancels the task, if it has not ended.
  void request_cancel() {
    const std::lock_guard hold{lock_};
    cancelled_ = true;
    if (scope_ != nullptr) scope_->request_cancel();
  }

  bool ended() const noexcept { return ended_; }

private:
  void set(cancel_scope* scope) {
    const std::lock_guard hold{lock_};
    scope_ = scope;
    if (scope != nullptr && cancelled_) scope->request_cancel();
  }

  std::mutex lock_;  // guards the next two
  cancel_scope* scope_ = nullptr;
  bool cancelled_ = false;
  std::atomic<bool> ended_ = false;
};

/// The operations that block.
struct with_plain_calls {
  using mutex = weft::mutex;
  using event = weft::event;
  using semaphore = weft::semaphore;
  using condition_variable = weft::condition_variable;
  template <class T>
  using channel = weft::channel<T>;

  static void sleep_for(any_duration duration) { this_fiber::sleep_for(duration); }

  static void sleep_for(any_duration duration, std::error_code& ec) {
    this_fiber::sleep_for(duration, ec);
  }

  static void sleep_until(clock::time_point deadline) { this_fiber::sleep_until(deadline); }

  static void yield() { this_fiber::yield(); }

  /// Calls what may block, such as a destructor that waits.
  template <class Function>
  static void block_in(Function&& function) {
    std::forward<Function>(function)();
  }
};

/// Those that coroutines await.
struct with_awaits {
  using mutex = awaited::mutex;
  using event = awaited::event;
  using semaphore = awaited::semaphore;
  using condition_variable = awaited::condition_variable;
  template <class T>
  using channel = awaited::channel<T>;

  static void sleep_for(any_duration duration) { awaited::sleep_for(duration); }

  static void sleep_for(any_duration duration, std::error_code& ec) {
    awaited::sleep_for(duration, ec);
  }

  static void sleep_until(clock::time_point deadline) {
    awaited::await([=] { return co::sleep_until(deadline); });
  }

  static void yield() {
    awaited::await([] { return co::yield(); });
  }

  static co::task<> run_body(std::function<void()> body) {
    return coroutine_body::run(std::move(body));
  }

  static void join(fiber<>& task) {
    awaited::await([&] { return task.co_join(); });
  }

  template <class Function>
  static void block_in(Function&& function) {
    auto blocking = spawn(std::forward<Function>(function));
    join(blocking);
  }

  static void until_others_wait() {
    auto watch = spawn([] { testing::all_blocked(); });
    join(watch);
  }
};

/// The operations that block, called in a coroutine, which then keeps the stack it runs on.
struct with_plain_calls_in_coroutines : with_plain_calls {
  static co::task<> run_body(std::function<void()> body) {
    body();
    co_return;
  }

  static void join(fiber<>& task) { task.join(); }

  static void until_others_wait() { testing::all_blocked(); }
};

struct as_fiber : with_plain_calls {
  class task {
  public:
    explicit task(std::function<void()> body)
        : fiber_(spawn([this, body = std::move(body)] { scope_.run(body); })) {}

    task(const task&) = delete;
    task& operator=(const task&) = delete;
    ~task() = default;

    void join() { fiber_.join(); }

    void request_cancel() { scope_.request_cancel(); }

    bool ended() const noexcept { return scope_.ended(); }

    /// Waits until the task waits, or has ended.
    static void until_it_waits() { testing::all_blocked(); }

  private:
    task_scope scope_;
    fiber<> fiber_;
  };

  template <class Body>
  static void run(Body&& body) {
    runtime instance;
    instance.run([&] {
      const testing::leak_check nothing_is_left{
          [](const std::string& leak) { ADD_FAILURE() << "left over: " << leak; }};
      body();
    });
  }
};

/// Tasks made of coroutines; `Operations` has `co::task<> run_body(std::function<void()>)`,
/// `join(fiber<>&)` and `until_others_wait()` beside the operations.
template <class Operations>
struct as_coroutine : Operations {
  class task {
  public:
    explicit task(std::function<void()> body)
        : task_(co::spawn([this, body = std::move(body)]() -> co::task<> {
            co_await Operations::run_body([&] { scope_.run(body); });
          })) {}

    task(const task&) = delete;
    task& operator=(const task&) = delete;
    ~task() = default;

    void join() { Operations::join(task_); }

    void request_cancel() { scope_.request_cancel(); }

    bool ended() const noexcept { return scope_.ended(); }

    static void until_it_waits() { Operations::until_others_wait(); }

  private:
    task_scope scope_;
    fiber<> task_;
  };

  template <class Body>
  static void run(Body&& body) {
    runtime instance;
    instance.run([&] {
      const testing::leak_check nothing_is_left{
          [](const std::string& leak) { ADD_FAILURE() << "left over: " << leak; }};
      auto main_task = co::spawn([&] { return Operations::run_body(body); });
      main_task.join();
      main_task.result();
    });
  }
};

struct as_thread : with_plain_calls {
  class task {
  public:
    explicit task(std::function<void()> body)
        : thread_([this, body = std::move(body)] {
            id_ = static_cast<int>(::syscall(SYS_gettid));
            scope_.run(body);
          }) {}

    task(const task&) = delete;
    task& operator=(const task&) = delete;

    ~task() {
      if (thread_.joinable()) thread_.join();
    }

    void join() { thread_.join(); }

    void request_cancel() { scope_.request_cancel(); }

    bool ended() const noexcept { return scope_.ended(); }

    void until_it_waits() const {
      // A lock of the allocator may have it sleep for a moment too.
      constexpr int enough = 5;
      for (int in_a_row = 0; !ended() && in_a_row < enough; std::this_thread::yield()) {
        in_a_row = sleeps() ? in_a_row + 1 : 0;
      }
    }

  private:
    // Whether the kernel says so (man 5 proc, /proc/pid/stat).
    bool sleeps() const {
      if (id_ == 0) return false;
      std::ifstream stat{"/proc/self/task/" + std::to_string(id_) + "/stat"};
      std::string line;
      std::getline(stat, line);
      const auto name_end = line.rfind(')');
      return name_end != std::string::npos && line.compare(name_end, 3, ") S") == 0;
    }

    task_scope scope_;
    std::atomic<int> id_ = 0;
    std::thread thread_;
  };

  /// On a thread of its own, so that what it keeps goes with it.
  template <class Body>
  static void run(Body&& body) {
    std::thread{[&] { body(); }}.join();
  }
};

template <class Mode>
class conformance : public runtime_test {
protected:
  using task = typename Mode::task;
  using mutex = typename Mode::mutex;
  using event = typename Mode::event;
  using semaphore = typename Mode::semaphore;
  using condition_variable = typename Mode::condition_variable;
  template <class T>
  using channel = typename Mode::template channel<T>;

  template <class... Arguments>
  static void sleep_for(Arguments&&... arguments) {
    Mode::sleep_for(std::forward<Arguments>(arguments)...);
  }

  template <class Body>
  static void run(Body&& body) {
    Mode::run(std::forward<Body>(body));
  }
};

using as_awaiting_coroutine = as_coroutine<with_awaits>;
using as_blocking_coroutine = as_coroutine<with_plain_calls_in_coroutines>;

using modes = ::testing::Types<as_fiber, as_thread, as_awaiting_coroutine, as_blocking_coroutine>;

struct mode_names {
  template <class Mode>
  // NOLINTNEXTLINE(readability-identifier-naming): GoogleTest calls it so
  static std::string GetName(int /*index*/) {
    if (std::is_same_v<Mode, as_fiber>) return "fiber";
    if (std::is_same_v<Mode, as_thread>) return "thread";
    return std::is_same_v<Mode, as_awaiting_coroutine> ? "coroutine" : "blocking_coroutine";
  }
};

}  // namespace weft::test
