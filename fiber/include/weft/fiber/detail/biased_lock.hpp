// A lock for what mostly one worker uses: that worker takes it by plain loads and stores. Not for
// users.
//
// The first worker that locks it is favoured, or one that is given: it says that it is busy, looks
// whether it is still favoured, and is in. Between the two a processor would need a fence, which
// costs as much as a locked exchange. The first one else who wants the lock pays for it instead: it
// ends the favour, has the kernel pass a fence on every processor that runs the process
// (membarrier(2), some microseconds), and waits until the favoured worker is out. From then on it
// is a spin lock. A process in which that happens often, or whose kernel has no such call, favours
// nobody.
//
// As a spin lock it is held for a few instructions, never across a wait. Threads: any.
#pragma once

#include <weft/fiber/detail/atomic.hpp>
#include <weft/fiber/detail/spin_lock.hpp>
#include <weft/fiber/detail/worker_view.hpp>

namespace weft::detail {

class biased_lock {
public:
  biased_lock() noexcept = default;
  // Favours `owner` until another locks it.
  explicit biased_lock(const worker_view& owner) noexcept;
  biased_lock(const biased_lock&) = delete;
  biased_lock& operator=(const biased_lock&) = delete;

  void lock() noexcept {
    const worker_view* const mine = running_worker;
    const bool by_favour =
        mine != nullptr && favoured_.load(std::memory_order_relaxed) == mine && enter(mine);
    by_favour_ = by_favour || lock_slowly(mine);
  }

  void unlock() noexcept {
    if (by_favour_) {
      // Pairs with the load in end_favour().
      busy_.store(false, std::memory_order_release);
    } else {
      lock_.unlock();
    }
  }

private:
  // By the favoured worker; false when it is no longer.
  bool enter(const worker_view* mine) noexcept {
    busy_.store(true, std::memory_order_relaxed);
    // The compiler keeps the order; the processor does because of the membarrier in end_favour().
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (favoured_.load(std::memory_order_relaxed) == mine) return true;
    busy_.store(false, std::memory_order_release);
    return false;
  }

  // Whether it got in by the favour.
  bool lock_slowly(const worker_view* mine) noexcept;
  void end_favour() noexcept;

  // The favoured worker; null before there is one, and from then on &nobody.
  atomic<const worker_view*> favoured_{nullptr};
  atomic<bool> busy_{false};  // the favoured worker is in
  bool is_counted_ = true;  // its favour, when it ends: not of a given owner, whose lock lives long
  bool by_favour_ = false;  // how the holder got in; the lock itself guards it
  spin_lock lock_;          // for all others; guards the end of the favour
};

}  // namespace weft::detail
