// The atomic type of weft's core in the build that checks interleavings: stands in the include path
// before the header of the same name in fiber/.
//
// Each access is a point at which the seeded scheduler may let another thread run. Accesses are
// sequentially consistent, for one thread runs at a time: what a weaker order of the real machine
// would allow on top is not explored. The order that the code asks for is passed on, so that
// ThreadSanitizer can judge by it.
#pragma once

#include <atomic>
#include <cstdint>
#include <source_location>
#include <type_traits>

#include "model/schedule_point.hpp"

namespace weft::detail {

template <class T>
class atomic {
public:
  using location = std::source_location;

  constexpr atomic() noexcept = default;

  // NOLINTNEXTLINE(google-explicit-constructor): as std::atomic
  constexpr atomic(T value) noexcept : value_(value) {}

  atomic(const atomic&) = delete;
  atomic& operator=(const atomic&) = delete;

  T load(std::memory_order order = std::memory_order_seq_cst,
         const location& where = location::current()) const noexcept {
    model::before_access(this, where);
    const T value = value_.load(order);
    model::after_access(model::access::load, this, bits(value), bits(value), where);
    return value;
  }

  void store(T value, std::memory_order order = std::memory_order_seq_cst,
             const location& where = location::current()) noexcept {
    model::before_access(this, where);
    const T before = value_.load(std::memory_order_relaxed);
    value_.store(value, order);
    model::after_access(model::access::store, this, bits(before), bits(value), where);
  }

  T exchange(T value, std::memory_order order = std::memory_order_seq_cst,
             const location& where = location::current()) noexcept {
    model::before_access(this, where);
    const T before = value_.exchange(value, order);
    model::after_access(model::access::exchange, this, bits(before), bits(value), where);
    return before;
  }

  bool compare_exchange_strong(T& expected, T desired,
                               std::memory_order order = std::memory_order_seq_cst,
                               const location& where = location::current()) noexcept {
    const bool loads = order == std::memory_order_release || order == std::memory_order_relaxed;
    const auto failed = loads                                ? std::memory_order_relaxed
                        : order == std::memory_order_acq_rel ? std::memory_order_acquire
                                                             : order;
    return compare_exchange_strong(expected, desired, order, failed, where);
  }

  bool compare_exchange_strong(T& expected, T desired, std::memory_order order,
                               std::memory_order failed,
                               const location& where = location::current()) noexcept {
    model::before_access(this, where);
    const bool done = value_.compare_exchange_strong(expected, desired, order, failed);
    // Of a failure `expected` is what was found.
    model::after_access(model::access::compare_exchange, this, bits(expected),
                        bits(done ? desired : expected), where);
    return done;
  }

  // Never fails without cause.
  bool compare_exchange_weak(T& expected, T desired, std::memory_order order,
                             std::memory_order failed,
                             const location& where = location::current()) noexcept {
    return compare_exchange_strong(expected, desired, order, failed, where);
  }

  T fetch_add(T difference, std::memory_order order = std::memory_order_seq_cst,
              const location& where = location::current()) noexcept {
    model::before_access(this, where);
    const T before = value_.fetch_add(difference, order);
    model::after_access(model::access::fetch_add, this, bits(before),
                        bits(static_cast<T>(before + difference)), where);
    return before;
  }

  T fetch_sub(T difference, std::memory_order order = std::memory_order_seq_cst,
              const location& where = location::current()) noexcept {
    model::before_access(this, where);
    const T before = value_.fetch_sub(difference, order);
    model::after_access(model::access::fetch_sub, this, bits(before),
                        bits(static_cast<T>(before - difference)), where);
    return before;
  }

private:
  static std::uint64_t bits(T value) noexcept {
    if constexpr (std::is_pointer_v<T>) {
      return reinterpret_cast<std::uintptr_t>(value);
    } else {
      return static_cast<std::uint64_t>(value);
    }
  }

  std::atomic<T> value_{};
};

}  // namespace weft::detail
