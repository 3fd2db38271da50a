#include <algorithm>

#include <weft/fiber/testing/virtual_clock.hpp>

#include "../scheduler.hpp"

namespace weft::testing {

virtual_clock::virtual_clock(time_moves how) noexcept
    : now_(std::chrono::steady_clock::now().time_since_epoch().count()), start_(now_), how_(how) {}

void virtual_clock::advance(any_duration length) noexcept {
  constexpr auto most = clock::time_point::max();
  const auto by = std::max(length.nanoseconds(), std::chrono::nanoseconds::zero());
  advance_to(by < most - now() ? now() + by : most);
  if (auto* const worker = detail::scheduler::running()) worker->poll_soon();
}

void virtual_clock::advance_to(clock::time_point moment) noexcept {
  now_ = std::max(now_, moment.time_since_epoch().count());
}

}  // namespace weft::testing
