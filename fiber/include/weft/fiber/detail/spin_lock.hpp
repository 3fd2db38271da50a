// The lock of a place where waits are published: a queue, a descriptor's record, a channel. Not for
// users.
//
// It is held for a few instructions and never across a wait of a fiber, so that whoever finds it
// taken spins: its holder runs on another thread, or has been preempted. While the process has a
// single thread taking it costs no atomic operation.
// Threads: any.
#pragma once

#include <sys/single_threaded.h>

#include <weft/fiber/detail/atomic.hpp>

namespace weft::detail {

class spin_lock {
public:
  spin_lock() noexcept = default;
  spin_lock(const spin_lock&) = delete;
  spin_lock& operator=(const spin_lock&) = delete;

  [[gnu::always_inline]] void lock() noexcept {
    if (__libc_single_threaded != 0) {
      held_.store(true, std::memory_order_relaxed);
      return;
    }
    // Pairs with the store in unlock().
    if (held_.exchange(true, std::memory_order_acquire)) lock_contended();
  }

  // Whether it got the lock; never spins.
  bool try_lock() noexcept {
    // Pairs with the store in unlock().
    return !held_.load(std::memory_order_relaxed) &&
           !held_.exchange(true, std::memory_order_acquire);
  }

  // Pairs with the exchange in lock() and in try_lock().
  void unlock() noexcept { held_.store(false, std::memory_order_release); }

  // In the child of a fork: whoever held it is not there.
  void forget_holder() noexcept { held_.store(false, std::memory_order_relaxed); }

  // Waits until whoever holds it has given it up.
  void wait_until_free() noexcept {
    // Pairs with the store in unlock().
    if (!held_.load(std::memory_order_acquire)) return;
    lock();
    unlock();
  }

private:
  void lock_contended() noexcept;

  atomic<bool> held_{false};
};

}  // namespace weft::detail
