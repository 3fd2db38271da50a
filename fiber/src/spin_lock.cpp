#include <sched.h>

#include <weft/fiber/detail/spin_lock.hpp>

namespace weft::detail {

void spin_lock::lock_contended() noexcept {
  // A holder that runs is done within that; one that was preempted needs the processor.
  constexpr int patience = 100;
  for (;;) {
    for (int i = 0; i < patience; ++i) {
      if (!held_.load(std::memory_order_relaxed) &&
          !held_.exchange(true, std::memory_order_acquire)) {
        return;
      }
      __builtin_ia32_pause();
    }
    ::sched_yield();
  }
}

}  // namespace weft::detail
