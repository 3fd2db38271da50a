// Sleeping until a word changes (man 2 futex), with deadlines of the steady clock.
//
// Threads: any. Both are async-signal-safe and keep errno.
#pragma once

#include <chrono>
#include <cstdint>

namespace weft::detail {

// Sleeps while `*word` is `expected`, at most until `deadline`; time_point::max() is none. May
// return early. False when the deadline has passed.
bool futex_wait(const std::uint32_t* word, std::uint32_t expected,
                std::chrono::steady_clock::time_point deadline) noexcept;

// Wakes one thread that sleeps on the word, whose memory may be gone by now.
void futex_wake_one(const std::uint32_t* word) noexcept;

}  // namespace weft::detail
