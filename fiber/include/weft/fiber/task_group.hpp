// Fibers that belong together: none outlives the block that spawned them.
//
// The destructor WAITS for all of them; it cancels them first if an exception leaves the block, or
// once the caller is cancelled. The first fiber that fails cancels the others.
//
//     weft::task_group group;
//     auto page = group.spawn([&] { return fetch(url); });
//     auto ad = group.spawn([&] { return fetch(ad_url); });
//     group.join();                       // waits for both; throws what the first to fail threw
//     show(page.result(), ad.result());
//
// A fiber that ended by its cancellation has not failed. A group that was cancelled, by a failure
// or by request_cancel(), stays so: what is spawned into it is cancelled before it starts. Fibers
// of the group may spawn into it, while it is being joined too. An error that is retrieved in none
// of the ways of unhandled_error.hpp goes to the handler set there when the group goes.
//
// Threads: any task of any worker may use it, several at once; spawning is for fibers. One owner
// destroys it, and no fiber of the group joins or destroys it. The destructor also waits for
// tasks inside join() and request_cancel(), if their calls began while a fiber of the group had not
// ended; all other calls must be over before it.
#pragma once

#include <cstddef>
#include <exception>
#include <source_location>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include <weft/fiber/co/spawn.hpp>
#include <weft/fiber/detail/task_group_core.hpp>
#include <weft/fiber/fiber.hpp>

namespace weft {

class task_group;

namespace co::detail {
weft::detail::co_join_group leave(task_group& group, std::exception_ptr& failure) noexcept;
class first_failure_only;
}  // namespace co::detail

/// What a group can run: a function for a fiber, a co::task (moved, if it has a name), or a
/// function that returns one.
template <class Given>
concept group_function =
    fiber_function<Given> || co::task_function<Given> || co::detail::is_task<Given>;

class task_group {
public:
  template <class T = void>
  class child;

  task_group() noexcept;
  task_group(const task_group&) = delete;
  task_group& operator=(const task_group&) = delete;
  /// Waits for all fibers of the group, as the first lines say, and until nobody is inside join()
  /// or request_cancel(); it throws nothing. In a coroutine, which a destructor cannot suspend, it
  /// ends the process if a task of the group has not ended: see co::with_task_group().
  ~task_group();

  /// Spawns a fiber of the group on this worker, as weft::spawn() does, and returns a `child<T>`,
  /// which may be dropped.
  ///
  /// Errors: as weft::spawn().
  template <group_function Function>
  auto spawn(const spawn_options& options, Function&& function, std::error_code& ec) {
    return spawn_at(nullptr, options, std::forward<Function>(function), ec);
  }

  /// The same; throws std::system_error where the overload above sets `ec`.
  template <group_function Function>
  auto spawn(const spawn_options& options, Function&& function) {
    return spawn_at(nullptr, options, std::forward<Function>(function));
  }

  /// The same with the default options.
  template <group_function Function>
  auto spawn(Function&& function, std::source_location location = std::source_location::current()) {
    return spawn(spawn_options{.location = location}, std::forward<Function>(function));
  }

  /// The same on worker `index` of the runtime. Errors: as weft::spawn_on().
  template <group_function Function>
  auto spawn_on(std::size_t index, const spawn_options& options, Function&& function,
                std::error_code& ec) {
    detail::scheduler* const worker = detail::worker_at(index, ec);
    if (worker == nullptr) {
      co::detail::forget(std::forward<Function>(function));
      return child_of<Function>{};
    }
    return spawn_at(worker, options, std::forward<Function>(function), ec);
  }

  /// The same; throws std::system_error where the overload above sets `ec`.
  template <group_function Function>
  auto spawn_on(std::size_t index, const spawn_options& options, Function&& function) {
    std::error_code ec;
    if (detail::worker_at(index, ec) == nullptr) {
      co::detail::forget(std::forward<Function>(function));
    }
    return spawn_at(detail::worker_at(index), options, std::forward<Function>(function));
  }

  /// The same with the default options.
  template <group_function Function>
  auto spawn_on(std::size_t index, Function&& function,
                std::source_location location = std::source_location::current()) {
    return spawn_on(index, spawn_options{.location = location}, std::forward<Function>(function));
  }

  /// The same on the worker that has the fewest fibers. Errors: as weft::spawn_on().
  template <group_function Function>
  auto spawn_anywhere(const spawn_options& options, Function&& function, std::error_code& ec) {
    return spawn_at(detail::least_loaded_worker(), options, std::forward<Function>(function), ec);
  }

  /// The same; throws std::system_error where the overload above sets `ec`.
  template <group_function Function>
  auto spawn_anywhere(const spawn_options& options, Function&& function) {
    return spawn_at(detail::least_loaded_worker(), options, std::forward<Function>(function));
  }

  /// The same with the default options.
  template <group_function Function>
  auto spawn_anywhere(Function&& function,
                      std::source_location location = std::source_location::current()) {
    return spawn_anywhere(spawn_options{.location = location}, std::forward<Function>(function));
  }

  /// Waits until all fibers of the group have ended, those too that are spawned meanwhile. What
  /// came of them is in errors() and in the children.
  ///
  /// Waits:  for all fibers; a caller that is cancelled cancels them first and still waits.
  /// Errors: why the caller was cancelled: errc::cancelled, errc::timed_out;
  ///         std::errc::resource_deadlock_would_occur for a fiber of the group, at once.
  void join(std::error_code& ec);

  /// The same; throws std::system_error where the overload above sets `ec`, else what the fiber
  /// that failed first has thrown, after all have ended, each time it is called.
  void join();

  /// The same for coroutines: `co_await group.co_join()`.
  auto co_join(std::error_code& ec) noexcept { return detail::co_join_group{core_, &ec}; }

  auto co_join() noexcept { return detail::co_join_group{core_, nullptr}; }

  /// Returns what the fibers that have failed so far have thrown, in the order in which they did.
  std::vector<std::exception_ptr> errors() const { return core_.errors(); }

  /// Asks all fibers of the group to end, and those that are spawned later.
  void request_cancel() noexcept { core_.request_cancel(); }

  /// Whether the group was cancelled, by request_cancel() or by a failure.
  bool cancel_requested() const noexcept { return core_.cancel_requested(); }

  /// How many of its fibers have not ended.
  std::size_t size() const noexcept { return core_.size(); }

private:
  friend detail::co_join_group co::detail::leave(task_group& group,
                                                 std::exception_ptr& failure) noexcept;
  friend co::detail::first_failure_only;

  bool refuses_to_join(std::error_code& ec) const noexcept;
  void join_inside(std::error_code& ec);

  template <class Function>
  struct value {
    using type = co::detail::value_of<Function>;
  };

  template <fiber_function Function>
  struct value<Function> {
    using type = std::invoke_result_t<std::decay_t<Function>>;
  };

  template <group_function Function>
  using child_of = child<typename value<Function>::type>;

  template <group_function Function>
  auto spawn_at(detail::scheduler* worker, const spawn_options& options, Function&& function,
                std::error_code& ec) {
    const detail::spawn_place place{.worker = worker, .group = &core_};
    if constexpr (fiber_function<Function>) {
      return child_of<Function>{
          detail::handle_maker::spawn(place, options, std::forward<Function>(function), ec)};
    } else {
      return child_of<Function>{
          co::detail::start_task(place, options, std::forward<Function>(function), ec)};
    }
  }

  template <group_function Function>
  auto spawn_at(detail::scheduler* worker, const spawn_options& options, Function&& function) {
    const detail::spawn_place place{.worker = worker, .group = &core_};
    if constexpr (fiber_function<Function>) {
      return child_of<Function>{
          detail::handle_maker::spawn(place, options, std::forward<Function>(function))};
    } else {
      return child_of<Function>{
          co::detail::start_task(place, options, std::forward<Function>(function))};
    }
  }

  const int exceptions_outside_;
  detail::task_group_core core_;
};

/// A look at a fiber of a group, as weft::fiber, but that dropping it neither cancels nor waits. It
/// may outlive the group and the runtime.
template <class T>
class task_group::child {
public:
  child() noexcept = default;
  child(child&& other) noexcept = default;

  child& operator=(child&& other) noexcept {
    if (this != &other) {
      handle_.detach();
      handle_ = std::move(other.handle_);
    }
    return *this;
  }

  ~child() { handle_.detach(); }

  /// Whether it stands for a fiber: not default constructed, moved from or left by a failed spawn.
  explicit operator bool() const noexcept { return handle_.joinable(); }

  /// As those of weft::fiber.
  void join(std::error_code& ec) { handle_.join(ec); }

  void join() { handle_.join(); }

  auto co_join(std::error_code& ec) noexcept { return handle_.co_join(ec); }

  auto co_join() noexcept { return handle_.co_join(); }

  std::add_lvalue_reference_t<T> result() & { return handle_.result(); }

  T result() && { return std::move(handle_).result(); }

  std::exception_ptr exception() const { return handle_.exception(); }

  fiber_state state() const { return handle_.state(); }

  bool done() const noexcept { return handle_.done(); }

  /// Asks this fiber to end, and no other of the group.
  void request_cancel() noexcept { handle_.request_cancel(); }

  fiber_id get_id() const noexcept { return handle_.get_id(); }

  std::string name() const { return handle_.name(); }

private:
  friend class task_group;

  explicit child(fiber<T> handle) noexcept : handle_(std::move(handle)) {}

  fiber<T> handle_;
};

}  // namespace weft
