#include <atomic>
#include <memory>
#include <system_error>

#include <weft/fiber/detail/task.hpp>
#include <weft/fiber/error.hpp>

namespace weft::detail {

const std::exception_ptr& cancelled_before_start() {
  // Never destroyed: fibers may be dropped while the process exits. No local static: see fork.hpp.
  static constinit std::atomic<const std::exception_ptr*> made{nullptr};
  // Pairs with the exchange below.
  const std::exception_ptr* known = made.load(std::memory_order_acquire);
  if (known != nullptr) return *known;
  auto mine = std::make_unique<const std::exception_ptr>(std::make_exception_ptr(
      std::system_error(make_error_code(errc::cancelled), "fiber cancelled before it started")));
  // Pairs with the load above, and with itself in a thread that comes second.
  if (made.compare_exchange_strong(known, mine.get(), std::memory_order_acq_rel)) {
    return *mine.release();
  }
  return *known;
}

}  // namespace weft::detail
