#include <weft/fiber/detail/wait.hpp>
#include <weft/fiber/detail/worker.hpp>

#include "control_block.hpp"
#include "scheduler.hpp"

namespace weft::detail {

scheduler& require_scheduler() noexcept {
  scheduler* const running = scheduler::running();
  if (running == nullptr)
    misuse("spawn, or a wait of a fiber, was called on a thread that runs none; call it inside "
           "weft::run()");
  return *running;
}

deadline_clock::time_point deadline_after(any_duration duration) noexcept {
  const auto now = deadline_clock::now();
  const auto length = duration.nanoseconds();
  if (length.count() <= 0) return now;
  return length < no_deadline - now ? now + length : no_deadline;
}

bool wake(waiter& entry, wake_reason reason) noexcept {
  if (!entry.claim(reason)) return false;
  entry.owner->owner->make_ready(*entry.owner);
  return true;
}

wake_reason wait(wait_queue& queue, deadline_clock::time_point deadline, cancellation mode) {
  scheduler& worker = require_scheduler();
  waiter& mine = worker.current().wait;
  if (mode == cancellation::honoured && worker.refuse_if_cancelled()) return wake_reason::cancelled;
  mine.arm();
  queue.push_back(mine);
  const wake_reason reason =
      deadline == no_deadline ? worker.park(mode) : worker.park_until(deadline, mode);
  if (mine.linked()) queue.remove(mine);
  return reason;
}

wake_reason wait_until(deadline_clock::time_point deadline, cancellation mode) {
  scheduler& worker = require_scheduler();
  if (mode == cancellation::honoured && worker.refuse_if_cancelled()) return wake_reason::cancelled;
  worker.current().wait.arm();
  return worker.park_until(deadline, mode);
}

bool refuse_if_cancelled() { return require_scheduler().refuse_if_cancelled(); }

void warm_next_fiber() noexcept { require_scheduler().warm_next(); }

void spend_budget() { require_scheduler().spend_budget(); }

bool on_worker() noexcept { return scheduler::running() != nullptr; }

}  // namespace weft::detail
