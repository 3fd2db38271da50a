// A variable of which each fiber has its own, made when it first asks for it.
//
// The values of a fiber are destroyed on it when it has ended, the newest first; their destructors
// may wait, and if the fiber was cancelled those waits fail. A destructor that uses a value already
// destroyed makes it again; after four rounds of that (as with pthread_key_create(3)) what is left
// is never destroyed, and one line on the diagnostics sink says so. On a plain thread it acts as a
// thread_local.
//
//     weft::fiber_local<std::vector<char>> scratch{[] { return std::vector<char>(4096); }};
//
//     void handle() { scratch->clear(); }
//
// The object itself is only a key. When it goes before the fibers that use it, their values stay
// until those end. A look-up walks the values that the fiber has: meant for a handful.
//
// Threads: fibers and plain threads, each for itself.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include <weft/fiber/detail/task_values.hpp>

namespace weft {

template <class T>
class fiber_local {
  static_assert(std::is_object_v<T> && !std::is_const_v<T>);

public:
  /// Values begin as T{}.
  fiber_local()
    requires std::default_initializable<T>
      : make_([](std::uint64_t key) -> node { return std::make_unique<value_node>(key); }) {}

  /// Values begin as what `initializer()` returns, which is called on each fiber, by several
  /// threads at once if need be, and may wait.
  template <class Initializer>
    requires std::is_invocable_r_v<T, const Initializer&> && std::copy_constructible<Initializer>
  explicit fiber_local(Initializer initializer)
      : make_([initializer = std::move(initializer)](std::uint64_t key) -> node {
          return std::make_unique<value_node>(key, initializer);
        }) {}

  fiber_local(const fiber_local&) = delete;
  fiber_local& operator=(const fiber_local&) = delete;
  ~fiber_local() = default;

  /// Returns the value of the calling task, which is made if there is none.
  ///
  /// Errors: std::bad_alloc, and what its constructor or the initializer throws; there is none
  /// then.
  T& get() const {
    if (T* const value = get_if()) return *value;
    node made = make_(key_);
    T& value = made->value;
    detail::add_local(std::move(made));
    return value;
  }

  T& operator*() const { return get(); }

  T* operator->() const { return &get(); }

  /// Returns the value of the calling task, or null if there is none.
  T* get_if() const noexcept {
    detail::local_node* const found = detail::find_local(key_);
    return found != nullptr ? &static_cast<value_node*>(found)->value : nullptr;
  }

  /// Destroys the value of the calling task, if there is one; the next look makes a new one.
  void reset() const noexcept { detail::take_local(key_).reset(); }

private:
  using value_node = detail::local_value<T>;
  using node = std::unique_ptr<value_node>;

  const std::uint64_t key_ = detail::new_task_key();
  const std::function<node(std::uint64_t)> make_;
};

}  // namespace weft
