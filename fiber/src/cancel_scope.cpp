#include <weft/fiber/cancel_scope.hpp>
#include <weft/fiber/detail/wait.hpp>

namespace weft {

void timeout::expire_after(any_duration length) noexcept {
  expire_at(detail::deadline_after(length));
}

}  // namespace weft
