#include <weft/fiber/detail/co_wait.hpp>
#include <weft/fiber/detail/frame_memory.hpp>
#include <weft/fiber/detail/scope.hpp>

#include "scheduler.hpp"

namespace weft::detail {

bool suspend_until(continuation& then, deadline_clock::time_point deadline,
                   cancellation mode) noexcept {
  return scheduler::running()->suspend_until(then, deadline, mode);
}

wake_reason end_suspension(deadline_clock::time_point deadline) noexcept {
  return scheduler::running()->end_suspension(deadline);
}

void suspend_ready(continuation& then) noexcept {
  scheduler& worker = *scheduler::running();
  worker.poll_soon();
  worker.suspend_ready(then);
}

bool in_frame_of_coroutine(const void* object) noexcept {
  const scheduler* const worker = scheduler::running();
  const control_block* const caller = worker != nullptr ? worker->current_if_any() : nullptr;
  if (caller == nullptr) return false;
  bool found = false;
  for_each_coroutine(*caller, [&](const co_frame& each) {
    found = found || frame_contains(each.self.address(), object);
  });
  return found;
}

bool refuse_coroutine_now(std::error_code& ec) noexcept {
  scheduler& worker = *scheduler::running();
  const verdict now = worker.current().judged();
  if (now == verdict::none) return false;
  worker.count_refusal();
  ec = error_of(reason_of(now));
  return true;
}

bool co_pause::start() noexcept {
  note_wait(wait_kind::time);
  begin_wait();
  return !suspend_until(*this, deadline_, cancellation::honoured);
}

}  // namespace weft::detail
