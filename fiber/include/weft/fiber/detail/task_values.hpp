// What a task, a fiber or a plain thread, has of its own or from whoever spawned it: bound context
// values and fiber locals. Not for users.
//
// Threads: a task sees its own; bound values are shared with other tasks and never change.
#pragma once

#include <cstdint>
#include <memory>

#include <weft/fiber/detail/atomic.hpp>

namespace weft::detail {

// The key of a context_value or a fiber_local. No two have ever the same.
std::uint64_t new_task_key() noexcept;

// ---- context values ----------------------------------------------------------------------------

// A value bound to a key, and the bindings around it.
struct context_node {
  explicit context_node(std::uint64_t which) noexcept : key(which) {}

  context_node(const context_node&) = delete;
  context_node& operator=(const context_node&) = delete;
  virtual ~context_node() = default;

  const std::uint64_t key;
  context_node* outer = nullptr;  // a reference
  // Tasks and inner bindings. The decrement acquires and releases: who gives up the last one sees
  // what the others did with the value.
  atomic<std::uint32_t> references{1};
};

template <class T>
struct bound_value final : context_node {
  template <class Value>
  bound_value(std::uint64_t which, Value&& given)
      : context_node(which), value(std::forward<Value>(given)) {}

  const T value;
};

// The innermost binding of `key` in the running task, or null.
const context_node* find_bound(std::uint64_t key) noexcept;
// Makes `node` the innermost binding of the running task. Errors: std::bad_alloc.
context_node& bind(std::unique_ptr<context_node> node);
// Ends it, which must still be the innermost.
void unbind(const context_node& node) noexcept;

// ---- fiber locals ------------------------------------------------------------------------------

struct local_node {
  explicit local_node(std::uint64_t which) noexcept : key(which) {}

  local_node(const local_node&) = delete;
  local_node& operator=(const local_node&) = delete;
  virtual ~local_node() = default;

  const std::uint64_t key;
  local_node* older = nullptr;
  unsigned round = 0;  // how many destructors deep it was made
};

template <class T>
struct local_value final : local_node {
  explicit local_value(std::uint64_t which) : local_node(which) {}

  template <class Initializer>
  local_value(std::uint64_t which, const Initializer& initializer)
      : local_node(which), value(initializer()) {}

  T value{};
};

// The value of `key` in the running task, or null.
local_node* find_local(std::uint64_t key) noexcept;
// Errors: std::bad_alloc.
void add_local(std::unique_ptr<local_node> node);
// Takes it out; null if there is none.
std::unique_ptr<local_node> take_local(std::uint64_t key) noexcept;

}  // namespace weft::detail
