// A waiter, and claims that no lock orders: each wait ends for one reason, by one claim, and no
// claim ends a later wait than the one it has looked at.
#include <atomic>
#include <chrono>
#include <cstdint>

#include <weft/fiber/detail/waiter.hpp>

#include "futex.hpp"
#include "models.hpp"

namespace weft::model {
namespace {

using detail::wake_reason;

constexpr int waits = 2;

struct lone_waiter : detail::waiter {
  lone_waiter() noexcept : waiter(&lone_waiter::run_on) {}

  static void run_on(waiter& claimed) noexcept {
    auto& mine = static_cast<lone_waiter&>(claimed);
    mine.resumed.fetch_add(1, std::memory_order_release);
    detail::futex_wake_one(mine.futex_word());
  }

  const std::uint32_t* futex_word() const noexcept {
    return reinterpret_cast<const std::uint32_t*>(&resumed);
  }

  detail::atomic<std::uint32_t> resumed{0};
};

// Returns whether it ended the wait itself, when its time was over.
bool wait_once(lone_waiter& entry) {
  entry.resumed.store(0, std::memory_order_relaxed);
  entry.arm();
  auto deadline = now() + std::chrono::milliseconds{1};
  while (entry.resumed.load(std::memory_order_acquire) == 0) {
    if (detail::futex_wait(entry.futex_word(), 0, deadline)) continue;
    if (entry.claim(wake_reason::timed_out)) return true;
    deadline = time_point::max();
  }
  check(entry.resumed.load(std::memory_order_relaxed) == 1, "a wait is ended once");
  check(entry.reason() == wake_reason::ready || entry.reason() == wake_reason::closed,
        "a wait ends for the reason of who ended it");
  return false;
}

// Returns whether it ended a wait.
bool try_to_end(lone_waiter& entry, wake_reason reason) {
  constexpr auto generation = [](std::uint64_t word) { return word >> 8; };
  if (!entry.claim(reason)) return false;
  const std::uint64_t looked_at = last_loaded(&entry.word);
  const std::uint64_t ended = entry.word.load(std::memory_order_relaxed);
  check(generation(ended) == generation(looked_at), "a claim ends the wait that it has looked at");
  check(entry.reason() == reason, "the reason is that of the claim that succeeded");
  entry.resume(entry);
  return true;
}

}  // namespace

void waiter_model(execution& threads) {
  lone_waiter entry;
  std::atomic<int> ended{0};
  threads.thread("waiter", [&] {
    for (int i = 0; i < waits; ++i) ended += wait_once(entry) ? 1 : 0;
  });
  threads.thread("waker", [&] {
    for (int i = 0; i < waits; ++i) ended += try_to_end(entry, wake_reason::ready) ? 1 : 0;
  });
  threads.thread("closer", [&] {
    for (int i = 0; i < waits; ++i) ended += try_to_end(entry, wake_reason::closed) ? 1 : 0;
  });

  threads.go();

  check(ended == waits, "each wait is ended by one claim");
}

}  // namespace weft::model
