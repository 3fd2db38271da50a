#include <linux/membarrier.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <weft/fiber/detail/biased_lock.hpp>

#include "known_once.hpp"

namespace weft::detail {
namespace {

// Stands for no worker, for good.
constinit worker_view nobody;

// Favours that were ended, in the whole process. Relaxed: it only has to become large.
atomic<unsigned> ended_favours{0};
#ifdef WEFT_MODEL_CHECK
constexpr unsigned enough_ended_favours = ~0u;  // one run of a model must be like another
#else
constexpr unsigned enough_ended_favours = 32;
#endif

// man 2 membarrier
bool call_membarrier(int command) noexcept { return ::syscall(SYS_membarrier, command, 0, 0) == 0; }

// A fence on every processor that runs this process.
void fence_everywhere() noexcept {
  if (call_membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED)) return;
  // The child of a fork has to register anew; the last call is slow, but needs no registration.
  call_membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
  if (!call_membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED)) call_membarrier(MEMBARRIER_CMD_GLOBAL);
}

bool favours_are_to_be_had() noexcept {
  static constinit known_once registered;
  return registered.get([] {
    return call_membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
  }) && ended_favours.load(std::memory_order_relaxed) < enough_ended_favours;
}

}  // namespace

biased_lock::biased_lock(const worker_view& owner) noexcept
    : favoured_(favours_are_to_be_had() ? &owner : &nobody), is_counted_(false) {}

bool biased_lock::lock_slowly(const worker_view* mine) noexcept {
  lock_.lock();
  // Under the lock nobody else is made favoured, and no favour is ended.
  const worker_view* const favoured = favoured_.load(std::memory_order_relaxed);
  if (favoured == nullptr && mine != nullptr && favours_are_to_be_had()) {
    busy_.store(true, std::memory_order_relaxed);  // in by the favour, from the start
    // Relaxed: only `mine`, and who holds the spin lock, look at the above.
    favoured_.store(mine, std::memory_order_relaxed);
    lock_.unlock();
    return true;
  }
  if (favoured == nullptr) {
    favoured_.store(&nobody, std::memory_order_relaxed);
  } else if (favoured != &nobody) {
    end_favour();
  }
  return false;
}

// With the spin lock held.
void biased_lock::end_favour() noexcept {
  if (is_counted_) ended_favours.fetch_add(1, std::memory_order_relaxed);
  favoured_.store(&nobody, std::memory_order_seq_cst);
  // After it the favoured worker has either said that it is busy, and we see that, or it sees the
  // store above.
  fence_everywhere();
  // Pairs with the stores in unlock() and enter().
  while (busy_.load(std::memory_order_acquire)) ::sched_yield();
}

}  // namespace weft::detail
