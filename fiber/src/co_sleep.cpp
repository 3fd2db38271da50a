#include <weft/fiber/co/block_on.hpp>
#include <weft/fiber/co/sleep.hpp>
#include <weft/fiber/detail/worker.hpp>

#include "scheduler.hpp"

namespace weft::co::detail {

using weft::detail::scheduler;

bool give_way::start() noexcept { return !scheduler::running()->suspend_to_yield(*this); }

bool sleep::start() noexcept {
  if (weft::detail::refuse_coroutine(error_.code)) {
    if (!weft::detail::must_give_way()) return true;
    weft::detail::suspend_ready(*this);
    return false;
  }
  if (deadline_ == only_yields) return !scheduler::running()->suspend_to_yield(*this);
  waits_ = true;
  weft::detail::note_wait(weft::detail::wait_kind::time);
  weft::detail::begin_wait();
  if (weft::detail::suspend_until(*this, deadline_, weft::detail::cancellation::honoured)) {
    return false;
  }
  return go_on();
}

bool sleep::go_on() noexcept {
  if (!waits_) return true;
  const auto reason = weft::detail::end_suspension(deadline_);
  if (reason != weft::detail::wake_reason::timed_out) error_.code = weft::detail::error_of(reason);
  return true;
}

void run_to_end(continuation& start, const co_frame& outermost) noexcept {
  scheduler::running()->run_to_end(start, outermost);
}

}  // namespace weft::co::detail
