// Values that a task hands down to all it spawns: the id of a request, who asks, a deadline.
//
// A context_value is the key, an object that all who use it know, such as a global. A
// context_binding gives it a value until the end of a block, for the task that made it and for the
// fibers spawned meanwhile, by whatever thread; those keep it all their life.
//
//     const weft::context_value<std::string> request_id{"none"};
//
//     void handle(const request& request) {
//       const weft::context_binding bound{request_id, request.id()};
//       weft::spawn(log_it).join();   // request_id.get() is there what it is here
//     }
//
// A spawn costs nothing more while nothing is bound; get() walks the bindings from the innermost
// out. A value is destroyed by the last task that can see it.
//
// Threads: fibers and plain threads, each for itself. Tasks share a value and only read it.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

#include <weft/fiber/detail/task_values.hpp>

namespace weft {

template <class T>
class context_binding;

template <class T>
class context_value {
  static_assert(std::is_object_v<T> && !std::is_const_v<T>);

public:
  /// A key whose value is T{} where none is bound.
  context_value()
    requires std::default_initializable<T>
  = default;

  /// A key whose value is `fallback` where none is bound.
  explicit context_value(T fallback) : fallback_(std::move(fallback)) {}

  context_value(const context_value&) = delete;
  context_value& operator=(const context_value&) = delete;
  ~context_value() = default;

  /// Returns the value that the innermost binding around the caller gives, in its own task or in
  /// those that spawned it. The reference holds as long as that binding, or the fiber that
  /// inherited it.
  const T& get() const noexcept {
    const detail::context_node* const found = detail::find_bound(key_);
    if (found == nullptr) return fallback_;
    return static_cast<const detail::bound_value<T>*>(found)->value;
  }

  /// Whether get() returns a bound value.
  bool bound() const noexcept { return detail::find_bound(key_) != nullptr; }

private:
  friend class context_binding<T>;

  const std::uint64_t key_ = detail::new_task_key();
  const T fallback_{};
};

/// Binds a value to a key as long as it exists. Bindings of a task end in the reverse order of
/// their making, on that task; anything else ends the process with one line.
template <class T>
class [[nodiscard]] context_binding {
public:
  /// Errors: std::bad_alloc, and what moving the value throws.
  context_binding(const context_value<T>& key, std::type_identity_t<T> value)
      : node_(detail::bind(std::make_unique<detail::bound_value<T>>(key.key_, std::move(value)))) {}

  context_binding(const context_binding&) = delete;
  context_binding& operator=(const context_binding&) = delete;

  ~context_binding() { detail::unbind(node_); }

private:
  const detail::context_node& node_;
};

}  // namespace weft
