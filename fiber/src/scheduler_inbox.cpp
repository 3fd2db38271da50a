// What other threads ask of a worker: to run a fiber, to look whether one was cancelled.
#include <mutex>
#include <utility>

#include <weft/fiber/detail/fiber_owner.hpp>

#include "scheduler.hpp"

namespace weft::detail {
namespace {

// Keeps a scheduler from being destroyed while another thread may still have to wake it: what was
// pushed may end the run before wake() has returned.
class visit {
public:
  // Relaxed: ordered before the push that follows, which the worker has seen when it ends.
  explicit visit(atomic<std::uint32_t>& visitors) noexcept : visitors_(visitors) {
    visitors_.fetch_add(1, std::memory_order_relaxed);
  }

  visit(const visit&) = delete;
  visit& operator=(const visit&) = delete;

  ~visit() { visitors_.fetch_sub(1, std::memory_order_release); }

private:
  atomic<std::uint32_t>& visitors_;
};

}  // namespace

void resume_fiber(waiter& claimed) noexcept {
  control_block& block = control_block::of(claimed);
  if (&block.owner() == scheduler::running()) {
    block.owner().make_ready(block);
  } else {
    block.owner().make_ready_remotely(block);
  }
}

void scheduler::make_ready_remotely(control_block& block) noexcept {
  const visit here{visitors_};
  if (woken_.push(block)) wakeable_.load(std::memory_order_seq_cst)->wake();
}

void scheduler::request_stop() noexcept {
  const visit here{visitors_};
  // Pairs with the load in poll().
  stop_requested_.store(true, std::memory_order_seq_cst);
  wakeable_.load(std::memory_order_seq_cst)->wake();
}

void scheduler::cancel(control_block& block) noexcept {
  if (block.has_status(fiber_status::done)) return;
  if (!block.cancel_requested.exchange(true, std::memory_order_acq_rel)) check(block);
}

// No visit: until this returns the fiber does not end, for who calls it holds its `join_lock` or
// keeps it in a scope, and as long the worker is there.
void scheduler::check(control_block& block) noexcept {
  if (running() == this) return check_cancellation(block);
  block.ask_to_judge();
  if (block.check_posted.exchange(true, std::memory_order_acq_rel)) return;
  add_reference(block);
  if (checks_.push(block)) wakeable_.load(std::memory_order_seq_cst)->wake();
}

void scheduler::ask_to_judge(control_block& block) noexcept {
  if (running() == this) {
    block.judge();
  } else {
    block.ask_to_judge();
  }
}

void scheduler::check_cancellation(control_block& block) noexcept {
  block.judge();
  const verdict now = block.judged();
  if (now == verdict::none || !block.wait_is_cancellable) return;
  wake(block.wait, reason_of(now));
}

// ---- the worker's side -------------------------------------------------------------------------

bool scheduler::has_mail() const noexcept { return !woken_.empty() || !checks_.empty(); }

void scheduler::take_mail() noexcept {
  for (control_block* each = woken_.take_all(); each != nullptr;) {
    control_block& block = *std::exchange(each, each->next_ready);
    receive(block);
  }
  for (control_block* each = checks_.take_all(); each != nullptr;) {
    control_block& block = *std::exchange(each, each->next_check);
    block.check_posted.exchange(false, std::memory_order_acq_rel);
    if (!block.has_status(fiber_status::done)) check_cancellation(block);
    release_reference(block);
  }
}

void scheduler::receive(control_block& block) noexcept {
  if (!block.has_status(fiber_status::arriving)) return make_ready(block);
  admit(block);
  const std::lock_guard hold{door_};
  arriving_.fetch_sub(1, std::memory_order_relaxed);
}

// After the last run: fibers that came after its end never run, nor what their destructors spawn.
void scheduler::drop_mail() noexcept {
  while (has_mail()) {
    for (control_block* each = woken_.take_all(); each != nullptr;) {
      control_block& block = *std::exchange(each, each->next_ready);
      drop(block);
    }
    for (control_block* each = checks_.take_all(); each != nullptr;) {
      release_reference(*std::exchange(each, each->next_check));
    }
  }
}

void scheduler::drop(control_block& block) noexcept {
  cancel_stack(block.size_class);
  block.cancel_requested.store(true, std::memory_order_relaxed);
  block.task->abandon();
  note_outcome(block);
  fiber_owner* const group = block.group;
  auto how = control_block::end::with_a_task;
  while ((how = block.announce_end()) == control_block::end::with_a_task) drop_task(block);
  if (group != nullptr) {
    group->remove(block);
    release_reference(block);
  }
  if (how == control_block::end::unshared) release_reference(block);
}

// ---- fibers spawned by other threads -----------------------------------------------------------

void scheduler::open_to_others() noexcept {
  const std::lock_guard hold{door_};
  open_to_others_ = true;
}

void scheduler::close_to_others() noexcept {
  const std::lock_guard hold{door_};
  open_to_others_ = false;
}

bool scheduler::enter_remotely() noexcept {
  const std::lock_guard hold{door_};
  if (open_to_others_) arriving_.fetch_add(1, std::memory_order_relaxed);
  return open_to_others_;
}

void scheduler::leave_remotely() noexcept {
  // Ours to the end: after the count has become 0 the worker may end.
  const visit here{visitors_};
  {
    const std::lock_guard hold{door_};
    arriving_.fetch_sub(1, std::memory_order_relaxed);
  }
  ended_.wake_all(wake_reason::ready);
}

bool scheduler::awaits_arrivals() noexcept {
  const std::lock_guard hold{door_};
  return arriving_.load(std::memory_order_relaxed) != 0;
}

}  // namespace weft::detail
