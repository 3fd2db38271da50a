#include <mutex>

#include <weft/fiber/detail/channel_core.hpp>
#include <weft/fiber/detail/planted.hpp>
#include <weft/fiber/detail/worker.hpp>

#include "scheduler.hpp"

namespace weft::detail {

channel_core::~channel_core() {
  // Whoever has just sent, received or closed may still be inside.
  const std::lock_guard hold{lock};
  if (!senders.empty() || !receivers.empty() || coming_back != 0) {
    misuse("a channel was destroyed while somebody waited for it");
  }
}

void channel_core::close() noexcept {
  lock.lock();
  closed = true;
  wait_node* const refused = senders.claim_all(wake_reason::closed);
  wait_node* const ended = receivers.claim_all(wake_reason::closed);
  lock.unlock();
  resume_all(refused);
  resume_all(ended);
}

namespace {

// Between finding that it has to wait and waiting, if that is the bug that was planted.
void leave_a_gap(channel_core& core) noexcept {
  if (!planted(bug::gap_before_wait)) return;
  core.lock.unlock();
  core.lock.lock();
}

void note(const channel_core& core, const wait_list& side) noexcept {
  // Who waits to receive waits for a sender.
  const bool receives = &side == &core.receivers;
  note_wait(receives ? wait_kind::sender : wait_kind::receiver, &core);
}

}  // namespace

wake_reason channel_access::wait_on(channel_core& core, wait_list& side, channel_slot& mine,
                                    deadline_clock::time_point deadline) {
  if (has_passed(deadline)) {
    core.lock.unlock();
    spend_budget();
    return wake_reason::timed_out;
  }
  leave_a_gap(core);
  note(core, side);
  return wait_in_list(side, mine, core.lock, deadline, cancellation::honoured);
}

bool channel_access::suspend(list_suspension& wait, continuation& then, wait_list& side,
                             channel_slot& mine, deadline_clock::time_point deadline) {
  held_ = false;
  leave_a_gap(core_);
  note(core_, side);
  return wait.begin(then, side, mine, core_.lock, deadline, cancellation::honoured);
}

}  // namespace weft::detail
