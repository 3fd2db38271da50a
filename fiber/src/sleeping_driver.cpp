#include "sleeping_driver.hpp"

#include <cerrno>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace weft::detail {
namespace {

timespec absolute(driver::clock::time_point deadline) noexcept {
  // steady_clock is CLOCK_MONOTONIC in libstdc++ and libc++ on Linux.
  const auto since = deadline.time_since_epoch();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since);
  return {static_cast<time_t>(seconds.count()),
          static_cast<long>(std::chrono::nanoseconds(since - seconds).count())};
}

}  // namespace

void sleeping_driver::poll(clock::time_point deadline) {
  if (deadline != clock::time_point::min() && woken_.load(std::memory_order_relaxed) == 0) {
    const timespec limit = absolute(deadline);
    ::syscall(SYS_futex, &woken_, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, 0,
              deadline == clock::time_point::max() ? nullptr : &limit, nullptr,
              FUTEX_BITSET_MATCH_ANY);
  }
  // Pairs with the exchange in wake(): what the waker did before is seen after poll().
  woken_.exchange(0, std::memory_order_acquire);
}

void sleeping_driver::wake() noexcept {
  const int saved_errno = errno;  // may run in a signal handler
  // Pairs with the exchange in poll().
  if (woken_.exchange(1, std::memory_order_release) == 0) {
    ::syscall(SYS_futex, &woken_, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, nullptr, nullptr, 0);
  }
  errno = saved_errno;
}

}  // namespace weft::detail
