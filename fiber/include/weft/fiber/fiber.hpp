// A handle to a fiber: a function that runs beside others on one thread and parks where a thread
// would block.
//
// The destructor cancels the fiber and WAITS for its end: keep the handle, and join it.
//
//     auto answer = weft::spawn([] { return 6 * 7; });  // runs once this fiber parks
//     answer.join();                                     // waits, and says nothing of failures
//     print(answer.result());                            // throws what the fiber threw
//
// Threads: a handle may be used by fibers of any worker, and by plain threads, one at a time; those
// then block. Once the fiber has ended the handle may outlive the runtime.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <source_location>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

#include <weft/fiber/co/task.hpp>
#include <weft/fiber/detail/co_wait.hpp>
#include <weft/fiber/detail/task.hpp>

namespace weft {

namespace detail {
struct control_block;
struct handle_maker;
class fiber_owner;
class scheduler;
}  // namespace detail

/// What a fiber can run: a function without arguments that can be copied or moved into the fiber,
/// and is no coroutine: for those there is co::spawn().
template <class Function>
concept fiber_function = std::constructible_from<std::decay_t<Function>, Function> &&
                         std::invocable<std::decay_t<Function>> && !co::task_function<Function>;

/// Identifies a fiber among all that the process has ever run; 0 is no fiber.
enum class fiber_id : std::uint64_t {};

/// How far a fiber has come, and what came of it.
enum class fiber_state : std::uint8_t {
  pending,    ///< it has not started
  running,    ///< it has started and not ended; it may be parked
  completed,  ///< its function has returned
  cancelled,  ///< errc::cancelled has left its function, or kept it from starting, after a request
  failed,     ///< any other exception has left its function
};

/// How to spawn a fiber.
struct spawn_options {
  /// For dumps, diagnostics and debuggers; "fiber ID" if empty.
  std::string_view name = {};
  /// Bytes of address space of its stack, the guard page included; rounded up to a power of two, at
  /// least 16 KiB. 0 takes the default of the runtime. Memory is used as far as it is touched.
  std::size_t stack_size = 0;
  /// Where it was spawned.
  std::source_location location = std::source_location::current();
};

/// The part of a handle that does not depend on what the fiber returns.
class any_fiber {
public:
  any_fiber() noexcept = default;

  any_fiber(any_fiber&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}

  /// Cancels and joins the fiber held before, as the destructor does.
  any_fiber& operator=(any_fiber&& other) noexcept;
  /// Cancels the fiber, if it has not ended, and waits for its end; a cancelled caller waits too.
  ~any_fiber();

  /// Whether the handle stands for a fiber: not default constructed, moved from or detached.
  bool joinable() const noexcept { return block_ != nullptr; }

  explicit operator bool() const noexcept { return joinable(); }

  /// Waits for the end of the fiber. What came of it, its own failure too, is in result().
  ///
  /// Waits:  for the fiber to end; never once it has. The handle may be moved or detached
  ///         meanwhile.
  /// Ends:   when the caller is cancelled.
  /// Errors: errc::cancelled; std::errc::invalid_argument for a handle that is not joinable,
  ///         std::errc::resource_deadlock_would_occur for joining oneself.
  void join(std::error_code& ec);
  /// The same; throws std::system_error where the overload above sets `ec`.
  void join();

  /// The same for coroutines: `co_await handle.co_join()`.
  auto co_join(std::error_code& ec) noexcept;
  auto co_join() noexcept;

  /// Lets the fiber run on without a handle: from now on a child of the runtime, which cancels it
  /// when the main function has returned; one that has not started by then never runs. The handle
  /// is empty afterwards.
  void detach() noexcept;

  /// Asks the fiber to end: from now on every wait of it fails with errc::cancelled, the one under
  /// way too. A fiber that has not started never runs. Asking again changes nothing.
  void request_cancel() noexcept;

  /// Whether the fiber has ended; true for an empty handle.
  bool done() const noexcept;

  /// How far the fiber has come; once done() is true it stays as it is.
  ///
  /// Errors: throws std::errc::invalid_argument for an empty handle.
  fiber_state state() const;

  /// Returns what the fiber has thrown, null if nothing: errc::cancelled too if it was cancelled.
  /// It then counts as retrieved: see unhandled_error.hpp.
  ///
  /// Errors: throws std::errc::operation_in_progress before the fiber has ended,
  ///         std::errc::invalid_argument for an empty handle. Never waits: join() does.
  std::exception_ptr exception() const;

  /// The id of the fiber, 0 for an empty handle.
  fiber_id get_id() const noexcept;
  /// The name of the fiber, "fiber ID" if it was given none; empty for an empty handle.
  std::string name() const;

protected:
  explicit any_fiber(detail::control_block* block) noexcept : block_(block) {}

  // Throws what came of the fiber if that was no value, or as exception() does.
  void require_value() const;
  detail::task_base& task() const noexcept;

private:
  // Cancels the fiber, if it has not ended, waits for its end, and gives the handle's part up.
  static void end(detail::control_block* block) noexcept;

  detail::control_block* block_ = nullptr;
};

namespace detail {

// What a coroutine awaits. While it waits the handle may go.
class [[nodiscard]] joining final
    : public co_list_operation<joining, gives_way::after, /*Timed=*/false> {
public:
  joining(control_block* joined, error_to error) noexcept;

  // In the library, where all that they call is in line.
  bool start() noexcept;
  bool go_on() noexcept;

  bool try_now(std::error_code& ec) noexcept;
  wait_list& list() noexcept;
  spin_lock& lock() noexcept;
  void withdraw(wait_node& node) noexcept;
  void note() const noexcept;

private:
  control_block* const block_;
};

}  // namespace detail

inline auto any_fiber::co_join(std::error_code& ec) noexcept {
  return detail::joining{block_, detail::error_to{ec}};
}

inline auto any_fiber::co_join() noexcept {
  return detail::joining{block_, detail::error_to{"fiber::join"}};
}

/// A handle to a fiber whose function returns a T.
template <class T = void>
class [[nodiscard]] fiber : public any_fiber {
public:
  fiber() noexcept = default;

  /// Returns what the function returned.
  ///
  /// Errors: whatever the function threw; std::errc::operation_in_progress before the fiber has
  ///         ended; std::errc::invalid_argument for an empty handle. Never waits: join() does.
  std::add_lvalue_reference_t<T> result() & {
    require_value();
    if constexpr (!std::is_void_v<T>) {
      auto& value = *static_cast<detail::task_result<T>&>(task()).value;
      if constexpr (std::is_reference_v<T>) {
        return *value;
      } else {
        return value;
      }
    }
  }

  T result() && {
    if constexpr (std::is_void_v<T> || std::is_reference_v<T>) {
      return result();
    } else {
      return std::move(result());
    }
  }

private:
  friend struct detail::handle_maker;

  explicit fiber(detail::control_block* block) noexcept : any_fiber(block) {}
};

namespace detail {

// Where a fiber is spawned.
struct spawn_place {
  scheduler* worker = nullptr;  // null is that of the caller
  fiber_owner* group = nullptr;
  bool stackless = false;  // its task is made of coroutines
};

// A worker of the caller's runtime; null and std::errc::invalid_argument when there is none of that
// index.
scheduler* worker_at(std::size_t index, std::error_code& ec) noexcept;
// The same; throws std::system_error where the overload above sets `ec`.
scheduler* worker_at(std::size_t index);
scheduler* least_loaded_worker();

// A control block with a stack reserved, or null and `ec` set. Becomes a fiber by start().
control_block* reserve_fiber(const spawn_options& options, const spawn_place& place,
                             std::error_code& ec);
// Room for a task of this size, in the block if it fits; null and `ec` if there is no memory.
void* task_storage(control_block& block, std::size_t size, std::size_t alignment,
                   std::error_code& ec) noexcept;
void free_task_storage(control_block& block, void* place) noexcept;
void start_fiber(control_block& block, task_base& task) noexcept;
void abandon_fiber(control_block& block) noexcept;
// Gives up the handle's part of a started fiber.
void detach_fiber(control_block& block) noexcept;
// What to do when there is no stack for another fiber.
inline constexpr const char* how_to_get_stacks =
    "; raise the memory limit, or vm.max_map_count where guard pages take mappings (below Linux "
    "6.13), or choose stack_guard::groups";
// Throws std::system_error for a failed reserve_fiber(), with what to do about it.
[[noreturn]] void throw_spawn_error(std::error_code ec);

// Spawns what runs a `Task` made of `arguments`.
template <class Task, class... Arguments>
control_block* spawn_task_at(const spawn_place& where, const spawn_options& options,
                             std::error_code& ec, Arguments&&... arguments) {
  control_block* const block = reserve_fiber(options, where, ec);
  if (block == nullptr) return nullptr;
  void* place = nullptr;
  try {
    place = task_storage(*block, sizeof(Task), alignof(Task), ec);
    if (place == nullptr) {
      abandon_fiber(*block);
      return nullptr;
    }
    start_fiber(*block, *::new (place) Task(std::forward<Arguments>(arguments)...));
  } catch (...) {
    if (place != nullptr) free_task_storage(*block, place);
    abandon_fiber(*block);
    throw;
  }
  return block;
}

template <fiber_function Function>
control_block* spawn_at(const spawn_place& where, const spawn_options& options, Function&& function,
                        std::error_code& ec) {
  return spawn_task_at<task<std::decay_t<Function>>>(where, options, ec, std::in_place,
                                                     std::forward<Function>(function));
}

template <fiber_function Function>
using fiber_of = fiber<std::invoke_result_t<std::decay_t<Function>>>;

struct handle_maker {
  template <fiber_function Function>
  static fiber_of<Function> spawn(const spawn_place& place, const spawn_options& options,
                                  Function&& function, std::error_code& ec) {
    return fiber_of<Function>{spawn_at(place, options, std::forward<Function>(function), ec)};
  }

  template <fiber_function Function>
  static fiber_of<Function> spawn(const spawn_place& place, const spawn_options& options,
                                  Function&& function) {
    std::error_code ec;
    auto handle = spawn(place, options, std::forward<Function>(function), ec);
    if (ec) throw_spawn_error(ec);
    return handle;
  }

  // A handle to what runs a `Task`, which is a task_result<T>.
  template <class T, class Task, class... Arguments>
  static fiber<T> spawn_task(const spawn_place& place, const spawn_options& options,
                             std::error_code& ec, Arguments&&... arguments) {
    return fiber<T>{spawn_task_at<Task>(place, options, ec, std::forward<Arguments>(arguments)...)};
  }
};

}  // namespace detail

/// Spawns a fiber on this worker that calls `function()`; arguments are captured. It runs once the
/// caller parks or yields; never if it is spawned while the runtime ends its fibers.
///
/// Errors: std::errc::not_enough_memory when no stack is to be had (memory, or vm.max_map_count
///         where guard pages need mappings), or no memory for what the function has captured;
///         std::errc::invalid_argument for a stack size over 1 GiB.
template <fiber_function Function>
auto spawn(const spawn_options& options, Function&& function, std::error_code& ec) {
  return detail::handle_maker::spawn({}, options, std::forward<Function>(function), ec);
}

/// The same; throws std::system_error where the overload above sets `ec`.
template <fiber_function Function>
auto spawn(const spawn_options& options, Function&& function) {
  return detail::handle_maker::spawn({}, options, std::forward<Function>(function));
}

/// The same with the default options.
template <fiber_function Function>
auto spawn(Function&& function, std::source_location location = std::source_location::current()) {
  return spawn(spawn_options{.location = location}, std::forward<Function>(function));
}

/// Spawns a fiber on worker `index` of the runtime, counted from 0; it runs there, on another
/// thread, as soon as that worker comes to it. A fiber never changes its worker.
///
/// Errors: as spawn(); errc::closed once the main function of the runtime has returned, or
///         errc::cancelled if the caller has been cancelled, too; std::errc::invalid_argument when
///         there is no such worker.
template <fiber_function Function>
auto spawn_on(std::size_t index, const spawn_options& options, Function&& function,
              std::error_code& ec) {
  detail::scheduler* const worker = detail::worker_at(index, ec);
  if (worker == nullptr) return detail::fiber_of<Function>{};
  return detail::handle_maker::spawn({.worker = worker}, options, std::forward<Function>(function),
                                     ec);
}

/// The same; throws std::system_error where the overload above sets `ec`.
template <fiber_function Function>
auto spawn_on(std::size_t index, const spawn_options& options, Function&& function) {
  return detail::handle_maker::spawn({.worker = detail::worker_at(index)}, options,
                                     std::forward<Function>(function));
}

/// The same with the default options.
template <fiber_function Function>
auto spawn_on(std::size_t index, Function&& function,
              std::source_location location = std::source_location::current()) {
  return spawn_on(index, spawn_options{.location = location}, std::forward<Function>(function));
}

/// Spawns a fiber on the worker that has the fewest. Errors: as spawn_on().
template <fiber_function Function>
auto spawn_anywhere(const spawn_options& options, Function&& function, std::error_code& ec) {
  return detail::handle_maker::spawn({.worker = detail::least_loaded_worker()}, options,
                                     std::forward<Function>(function), ec);
}

/// The same; throws std::system_error where the overload above sets `ec`.
template <fiber_function Function>
auto spawn_anywhere(const spawn_options& options, Function&& function) {
  return detail::handle_maker::spawn({.worker = detail::least_loaded_worker()}, options,
                                     std::forward<Function>(function));
}

/// The same with the default options.
template <fiber_function Function>
auto spawn_anywhere(Function&& function,
                    std::source_location location = std::source_location::current()) {
  return spawn_anywhere(spawn_options{.location = location}, std::forward<Function>(function));
}

}  // namespace weft
