// What a task that has suspended goes on with, and the frames of its coroutines. Not for users.
//
// A task suspends as a whole: the innermost of its coroutines leaves a continuation in the task's
// control block, and all of them return to the runner, a stack that runs whichever task is ready
// next. Woken, the task goes on there, in the innermost coroutine; one that has ended names the
// continuation of who awaits it, and the runner calls that: no call nests deeper for it.
// Threads: the worker of the task only.
#pragma once

#include <bit>
#include <concepts>
#include <coroutine>
#include <source_location>
#include <type_traits>
#include <utility>

#include <weft/fiber/detail/worker_view.hpp>

namespace weft::detail {

struct co_frame;

struct continuation {
  using function = void(continuation& self) noexcept;

  function* go_on = nullptr;
  co_frame* frame = nullptr;  // the coroutine that awaits; null where there is none

  continuation() noexcept = default;

  explicit continuation(function* how, co_frame* where = nullptr) noexcept
      : go_on(how), frame(where) {}

  continuation(const continuation&) = delete;
  continuation& operator=(const continuation&) = delete;

protected:
  ~continuation() = default;
};

// std::source_location::current() as a default argument of which g++ keeps no copy in the frame.
using call_place = decltype(__builtin_source_location());

inline std::source_location location_of(call_place where) noexcept {
  return std::bit_cast<std::source_location>(where);
}

// An operation that is awaited where it was made. (g++ 12 copies what await_transform() returns a
// reference to.)
template <class Operation>
struct awaited_operation {
  Operation& operation;

  bool await_ready() { return operation.await_ready(); }

  template <class Promise>
  auto await_suspend(std::coroutine_handle<Promise> waiting,
                     call_place where = __builtin_source_location()) noexcept {
    waiting.promise().at = location_of(where);
    return operation.await_suspend(waiting);
  }

  decltype(auto) await_resume() { return operation.await_resume(); }
};

// One that returns what must be kept, a lock.
template <class Operation>
struct awaited_for_a_lock : awaited_operation<Operation> {
  [[nodiscard]] decltype(auto) await_resume() { return this->operation.await_resume(); }
};

// What makes an awaiter when it is awaited, and runs a coroutine.
template <class T>
concept makes_awaiter = requires(T given, co_frame& by) { std::move(given).awaited_in(by); };

// Where a coroutine has ended or yielded.
struct coming_back {
  bool await_ready() const noexcept { return false; }

  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> ended) const noexcept {
    ended.promise().hand_over();
  }

  void await_resume() const noexcept {}
};

template <class T>
concept is_ours = std::derived_from<T, continuation> || makes_awaiter<T>;

// What co_await takes: once, so nothing that has a name.
template <class Awaited>
concept awaitable = is_ours<Awaited> && std::is_same_v<Awaited, std::remove_cvref_t<Awaited>>;

// The base of every promise.
struct co_frame {
  std::coroutine_handle<> self;
  continuation* awaited_by = nullptr;  // null while nobody has suspended for it
  co_frame* awaits = nullptr;          // the coroutine that it runs, or has suspended for
  // Where it awaited a coroutine or suspended last; before that where it was made.
  std::source_location at;

  // What may stand after co_await. Another library's awaitable would go on in its own way: on
  // another thread, or without the scopes of the task.
  template <class Awaited>
  decltype(auto) await_transform(Awaited&& awaited,
                                 call_place where = __builtin_source_location()) noexcept {
    using type = std::remove_cvref_t<Awaited>;
    static_assert(is_ours<type>,
                  "a coroutine of weft awaits co::task, the operations of weft that begin "
                  "with co_, co::sleep_for(), co::yield() and async_generator::next(); "
                  "wait for anything else with a weft::event or a weft::channel");
    static_assert(!is_ours<type> || awaitable<Awaited>,
                  "what is awaited is used up: co_await it where it is made, or a task that has "
                  "a name as std::move(name)");
    if constexpr (makes_awaiter<type> && awaitable<Awaited>) {
      at = location_of(where);
      return std::forward<Awaited>(awaited).awaited_in(*this);
    } else {
      if constexpr (awaitable<Awaited>) awaited.frame = this;
      using operation = std::remove_reference_t<Awaited>;
      if constexpr (requires { typename type::returns_a_lock; }) {
        return awaited_for_a_lock<operation>{{awaited}};
      } else {
        return awaited_operation<operation>{awaited};
      }
    }
  }

  coming_back final_suspend() const noexcept { return {}; }

  // By a coroutine that has ended, or yielded: who awaits it goes on once the runner has control.
  void hand_over() const noexcept {
    if (awaited_by != nullptr) running_worker->go_on_with = awaited_by;
  }

  // Goes on with a coroutine for whose child the task had suspended.
  static void resume_caller(continuation& self) noexcept { self.frame->self.resume(); }
};

}  // namespace weft::detail
