// Where other threads leave what a worker is to do: many may push, the worker takes all at once.
//
// Lock-free and intrusive: a push cannot fail, and wakes the worker only if it finds the inbox
// empty. Threads: push() any; take_all() the worker.
#pragma once

#include <weft/fiber/detail/atomic.hpp>

namespace weft::detail {

template <class T, T* T::*Link>
class inbox {
public:
  // Returns whether it was empty before: then the worker has to be told.
  bool push(T& entry) noexcept {
    T* head = head_.load(std::memory_order_relaxed);
    do {
      entry.*Link = head;
      // Pairs with the exchange in take_all(): the worker sees what was done before the push.
      // Sequentially consistent, for the wake() that may follow.
    } while (!head_.compare_exchange_weak(head, &entry, std::memory_order_seq_cst,
                                          std::memory_order_relaxed));
    return head == nullptr;
  }

  bool empty() const noexcept { return head_.load(std::memory_order_relaxed) == nullptr; }

  // Takes everything out, linked in the order in which it was pushed.
  T* take_all() noexcept {
    T* newest = head_.exchange(nullptr, std::memory_order_acquire);
    T* oldest = nullptr;
    while (newest != nullptr) {
      T* const next = newest->*Link;
      newest->*Link = oldest;
      oldest = newest;
      newest = next;
    }
    return oldest;
  }

private:
  atomic<T*> head_{nullptr};
};

}  // namespace weft::detail
