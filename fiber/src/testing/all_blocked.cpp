#include <weft/fiber/detail/co_wait.hpp>
#include <weft/fiber/detail/scope.hpp>
#include <weft/fiber/testing/all_blocked.hpp>

#include "../scheduler.hpp"

namespace weft::testing {

void all_blocked(std::error_code& ec) {
  ec.clear();
  detail::scheduler* const worker = detail::scheduler::running();
  detail::note_wait(detail::wait_kind::other);
  if (worker != nullptr) ec = detail::error_of(detail::wait(worker->when_all_wait()));
}

void all_blocked() {
  std::error_code ec;
  all_blocked(ec);
  if (ec) throw std::system_error(ec, "testing::all_blocked");
}

co::task<> co_all_blocked(std::error_code& ec) {
  ec.clear();
  if (detail::refuse_coroutine(ec)) co_return co_await detail::co_budget{};
  detail::wait_queue& queue = detail::scheduler::running()->when_all_wait();
  queue.lock.lock();
  ec = detail::error_of(co_await detail::co_wait<detail::spin_lock>{
      queue.list, queue.lock, detail::no_deadline, detail::cancellation::honoured});
}

co::task<> co_all_blocked() {
  std::error_code ec;
  co_await co_all_blocked(ec);
  if (ec) throw std::system_error(ec, "testing::all_blocked");
}

}  // namespace weft::testing
