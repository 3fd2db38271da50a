#include "futex.hpp"

#include <algorithm>
#include <cerrno>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace weft::detail {
namespace {

timespec absolute(std::chrono::steady_clock::time_point deadline) noexcept {
  // The kernel knows no moment before the clock began. steady_clock is CLOCK_MONOTONIC in libstdc++
  // and libc++ on Linux.
  const auto since = std::max(deadline, std::chrono::steady_clock::time_point{}).time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
  return {static_cast<time_t>(seconds.count()),
          static_cast<long>(std::chrono::nanoseconds(since - seconds).count())};
}

}  // namespace

bool futex_wait(const std::uint32_t* word, std::uint32_t expected,
                std::chrono::steady_clock::time_point deadline) noexcept {
  const int saved_errno = errno;
  const timespec limit = absolute(deadline);
  const long result =
      ::syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected,
                deadline == std::chrono::steady_clock::time_point::max() ? nullptr : &limit,
                nullptr, FUTEX_BITSET_MATCH_ANY);
  const bool expired = result != 0 && errno == ETIMEDOUT;
  errno = saved_errno;
  return !expired;
}

void futex_wake_one(const std::uint32_t* word) noexcept {
  const int saved_errno = errno;
  ::syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, nullptr, nullptr, 0);
  errno = saved_errno;
}

}  // namespace weft::detail
