#include "sleeping_driver.hpp"

#include <weft/fiber/detail/planted.hpp>

#include "futex.hpp"

namespace weft::detail {
namespace {

constexpr std::uint32_t awake = 0;
constexpr std::uint32_t asleep = 1;
constexpr std::uint32_t woken = 2;

}  // namespace

void sleeping_driver::poll(clock::time_point deadline) {
  if (planted(bug::sleeps_although_woken)) state_.store(awake, std::memory_order_seq_cst);
  // The worker finds the state `asleep` nowhere; so unless woken there is nothing to take back.
  // What a wake() does that comes from now on, the next poll() sees.
  if (deadline == clock::time_point::min() && state_.load(std::memory_order_relaxed) == awake) {
    return;
  }
  std::uint32_t expected = awake;
  if (deadline != clock::time_point::min() &&
      state_.compare_exchange_strong(expected, asleep, std::memory_order_seq_cst)) {
    futex_wait(word(), asleep, deadline);
  }
  // Pairs with the exchange in wake(): what the waker did before is seen after poll().
  state_.exchange(awake, std::memory_order_seq_cst);
}

void sleeping_driver::wake() noexcept {
  // Pairs with the exchanges in poll().
  if (state_.exchange(woken, std::memory_order_seq_cst) == asleep) futex_wake_one(word());
}

}  // namespace weft::detail
