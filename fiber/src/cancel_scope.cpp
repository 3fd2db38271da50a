#include <weft/fiber/cancel_scope.hpp>
#include <weft/fiber/clock.hpp>
#include <weft/fiber/detail/wait.hpp>

namespace weft {

void timeout::expire_after(any_duration length) noexcept {
  const auto now = weft::clock::now();
  detail::set_scope_deadline(state_, detail::deadline_after(length, now), now);
}

void timeout::expire_at(clock::time_point deadline) noexcept {
  detail::set_scope_deadline(state_, deadline, weft::clock::now());
}

}  // namespace weft
