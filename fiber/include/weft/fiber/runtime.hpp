// The runtime: the workers that run fibers. Worker 0 is the thread that calls run(); each other one
// is a thread of its own, for as long as run() lasts.
//
// Several runtimes may exist at once, each run by a thread of its own, and one after the other.
//
// fork(2) in a fiber leaves the child that fiber alone, and a runtime with one worker, timers and
// sockets of its own. The other fibers are not unwound there, and count as cancelled for who joins
// them. When the fiber ends, so does the child, as with its last thread: by exit(3), with 0, or
// with 1 after an exception that is no cancellation; if it is the main fiber, run() returns there.
// What the other workers and threads had locked stays locked, as POSIX has it, and a plain thread
// that waited for something of weft's stays in its queue, so that a value or a count may go to
// nobody there. vfork(2), posix_spawn(3), system(3) and popen(3) need none of this.
// Threads: request_stop() from any thread and from signal handlers, post() and spawn() from any
// thread; the rest by the owning thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <source_location>
#include <type_traits>
#include <utility>

#include <weft/fiber/co/spawn.hpp>
#include <weft/fiber/detail/promised_call.hpp>
#include <weft/fiber/detail/task.hpp>
#include <weft/fiber/dump.hpp>
#include <weft/fiber/fiber.hpp>

namespace weft {

namespace testing {
class virtual_clock;
}

/// How the stacks of fibers are kept from growing into each other.
enum class stack_guard {
  /// MADV_GUARD_INSTALL, which needs Linux 6.13 and costs no mapping; below it, page_protection.
  automatic,
  /// A page without access below each stack, by mprotect(2). Each stack then takes two of the
  /// vm.max_map_count mappings of the process (65,530 by default): 32,000 fibers at most.
  page_protection,
  /// One such page below each group of 16 stacks: 500,000 fibers by default, and a fiber that
  /// overflows may damage its neighbour unnoticed.
  groups,
};

struct runtime_options {
  /// Bytes of address space of a fiber's stack unless its spawn_options say otherwise; memory is
  /// used as far as it is touched. Rounded up to a power of two, at least 16 KiB. A fiber that
  /// needs more ends the process by SIGSEGV, after a line on stderr that names it and its stack.
  std::size_t stack_size = 256 * 1024;
  stack_guard guard = stack_guard::automatic;
  /// Threads that run fibers, from 1 to 1,024. A fiber stays on the worker it was spawned on.
  unsigned workers = 1;

  // ---- for tests -------------------------------------------------------------------------------
  /// The time of its fibers, see weft/fiber/testing/virtual_clock.hpp; null is the steady clock. It
  /// must outlive the runtime, which must have a single worker.
  testing::virtual_clock* clock = nullptr;
  /// Ready fibers run in an order that this seed decides, instead of that in which they became
  /// ready: the same at every run of a program that is itself deterministic.
  std::optional<std::uint64_t> order_seed = std::nullopt;
};

class runtime {
public:
  /// Errors: std::errc::invalid_argument for a stack size over 1 GiB, for no workers or more than
  ///         1,024, and for several with a virtual clock; std::errc::not_supported where the
  ///         kernel's pages are not of 4 KiB. Throws std::bad_alloc.
  explicit runtime(runtime_options options = {});
  runtime(const runtime&) = delete;
  runtime& operator=(const runtime&) = delete;
  ~runtime();

  /// Runs `main_function` as the main fiber, on the stack of the calling thread: it may wait, spawn
  /// and join as any other fiber; scopes that the thread is in do not count there. When it has
  /// ended, the fibers that are still there are cancelled and waited for; one that goes on for 5 s,
  /// of real time, ends the process with its name, some two seconds later if it makes no call of
  /// weft. Returns what the main function returns or throws what it throws. May be called again.
  ///
  /// Errors: std::system_error when a thread for a worker is not to be had.
  template <class Function>
  std::invoke_result_t<Function> run(Function&& main_function) {
    static_assert(!co::task_function<Function>,
                  "a coroutine does not run by being called: use weft::co::block_on()");
    detail::task<std::decay_t<Function>> task{std::in_place, std::forward<Function>(main_function)};
    run_main(task);
    if (task.failure) std::rethrow_exception(task.failure);
    if constexpr (!std::is_void_v<std::invoke_result_t<Function>>) {
      if constexpr (std::is_reference_v<std::invoke_result_t<Function>>) {
        return **task.value;
      } else {
        return std::move(*task.value);
      }
    }
  }

  /// Cancels the main fiber of the run under way: its waits fail with errc::cancelled. Without one,
  /// of the next run, so that a request is not lost on one that is about to start. From any thread,
  /// and from handlers of signals; the run that it ends may return, and the runtime be destroyed,
  /// before the call has returned.
  void request_stop() noexcept;

  /// Has a fiber of worker 0 call `function()`; what that throws is reported as of a detached
  /// fiber. What is posted before run() waits for it. Never waits. If the main function ends before
  /// that fiber has started, `function` is destroyed and never called, of which nobody is told: who
  /// has to know uses spawn(), or a destructor of what `function` holds.
  ///
  /// Errors: errc::closed, thrown, from the end of the main function to the next run(), or
  ///         errc::cancelled in a fiber that was cancelled by that end; else as weft::spawn().
  template <fiber_function Function>
  void post(Function&& function, std::source_location location = std::source_location::current()) {
    detail::handle_maker::spawn({.worker = worker(0)}, {.location = location},
                                std::forward<Function>(function))
        .detach();
  }

  /// The same with a coroutine: a task of worker 0 runs what `function()` returns.
  template <co::task_function Function>
  void post(Function&& function, std::source_location location = std::source_location::current()) {
    co::detail::start_task({.worker = worker(0)}, {.location = location},
                           std::forward<Function>(function))
        .detach();
  }

  /// Has a fiber of worker 0 call `function()` and returns a future of what comes of it, for plain
  /// threads: get() blocks the thread. A fiber uses weft::spawn_on().
  ///
  /// Errors: as post(); in the future what the function threw, or errc::cancelled if the run ended
  ///         before it began.
  template <fiber_function Function>
  std::future<std::invoke_result_t<std::decay_t<Function>>>
  spawn(Function&& function, std::source_location location = std::source_location::current()) {
    detail::promised_call<std::decay_t<Function>> call{std::in_place,
                                                       std::forward<Function>(function)};
    auto result = call.get_future();
    post(std::move(call), location);
    return result;
  }

  /// The same with a coroutine: the future is of what the task comes to that `function()` returns.
  template <co::task_function Function>
  std::future<co::detail::value_of<Function>>
  spawn(Function&& function, std::source_location location = std::source_location::current()) {
    detail::promised_task<std::decay_t<Function>> call{std::in_place,
                                                       std::forward<Function>(function)};
    auto result = call.get_future();
    post(std::move(call), location);
    return result;
  }

private:
  detail::scheduler* worker(std::size_t index) const noexcept;
  void run_main(detail::task_base& main_task);

  struct state;
  std::unique_ptr<state> state_;
};

namespace detail {

// Makes SIGINT and SIGTERM stop `target` while it exists. After the first signal the next one acts
// as if we were not there.
class stop_on_signal {
public:
  explicit stop_on_signal(runtime& target);
  stop_on_signal(const stop_on_signal&) = delete;
  stop_on_signal& operator=(const stop_on_signal&) = delete;
  ~stop_on_signal();

  // Ends the process by the signal that came, if one came; for a main that ended because of it.
  void reraise() const noexcept;

private:
  bool installed_ = false;
};

bool is_cancellation(const std::exception_ptr& failure) noexcept;

}  // namespace detail

/// Runs `main_function` as the main fiber of a new runtime and returns what it returns.
///
/// The first SIGINT (Ctrl-C) or SIGTERM cancels the main fiber; the second ends the process at
/// once. If errc::cancelled leaves the main function, the fibers are unwound and the process then
/// ends by the signal, as its parent expects; a main function that handles it ends as it likes. A
/// signal that was ignored stays ignored. With WEFT_DEBUG=dump in the environment SIGQUIT writes a
/// dump: see dump_on_quit; with WEFT_DEBUG=ps other processes of the user may look at the fibers
/// where that is for parents alone: see weft-ps. Both: WEFT_DEBUG=dump,ps. More: this_fiber.hpp.
template <class Function>
std::invoke_result_t<Function> run(Function&& main_function, runtime_options options = {}) {
  runtime instance{options};
  const detail::stop_on_signal signals{instance};
  const dump_on_quit dumps{detail::debugging_wants("dump")};
  detail::let_others_look_if_wanted();
  try {
    return instance.run(std::forward<Function>(main_function));
  } catch (...) {
    if (detail::is_cancellation(std::current_exception())) signals.reraise();
    throw;
  }
}

}  // namespace weft
