#include "futex.hpp"

#include <algorithm>
#include <cerrno>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "context/sanitizer.hpp"

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

// Sleeps once, until `deadline` at most; false when that has passed.
bool sleep_on(const std::uint32_t* word, std::uint32_t expected,
              std::chrono::steady_clock::time_point deadline) noexcept {
  const timespec limit = absolute(deadline);
  const long result =
      ::syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected,
                deadline == std::chrono::steady_clock::time_point::max() ? nullptr : &limit,
                nullptr, FUTEX_BITSET_MATCH_ANY);
  return result == 0 || errno != ETIMEDOUT;
}

#ifdef WEFT_TSAN
// ThreadSanitizer does not know that the thread sleeps: a signal that comes meanwhile, or just
// before, is kept until the next call that it intercepts. So there is one now and then.
bool sleep_for_signals(const std::uint32_t* word, std::uint32_t expected,
                       std::chrono::steady_clock::time_point deadline) noexcept {
  constexpr std::chrono::milliseconds nap{20};
  for (;;) {
    const auto limit = std::min(deadline, std::chrono::steady_clock::now() + nap);
    const bool ended = sleep_on(word, expected, limit);
    deliver_kept_signals();
    if (ended) return true;
    if (limit == deadline) return false;
  }
}
#endif

}  // namespace

bool futex_wait(const std::uint32_t* word, std::uint32_t expected,
                std::chrono::steady_clock::time_point deadline) noexcept {
  const int saved_errno = errno;
#ifdef WEFT_TSAN
  const bool ended = sleep_for_signals(word, expected, deadline);
#else
  const bool ended = sleep_on(word, expected, deadline);
#endif
  errno = saved_errno;
  return ended;
}

void futex_wake_one(const std::uint32_t* word) noexcept {
  const int saved_errno = errno;
  ::syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, nullptr, nullptr, 0);
  errno = saved_errno;
}

}  // namespace weft::detail
