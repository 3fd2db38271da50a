#include <weft/fiber/detail/wait.hpp>
#include <weft/fiber/testing/all_blocked.hpp>

#include "../scheduler.hpp"

namespace weft::testing {

void all_blocked(std::error_code& ec) {
  ec.clear();
  detail::scheduler* const worker = detail::scheduler::running();
  if (worker != nullptr) ec = detail::error_of(detail::wait(worker->when_all_wait()));
}

void all_blocked() {
  std::error_code ec;
  all_blocked(ec);
  if (ec) throw std::system_error(ec, "testing::all_blocked");
}

}  // namespace weft::testing
