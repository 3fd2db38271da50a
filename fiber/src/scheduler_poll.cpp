// What a worker does between two fibers: it polls its driver, fires timers, and sleeps when nobody
// is ready.
#include <algorithm>
#include <array>
#include <climits>
#include <ctime>
#include <limits>
#include <memory>
#include <utility>

#include <weft/fiber/detail/planted.hpp>
#include <weft/fiber/detail/worker.hpp>

#include "scheduler.hpp"

namespace weft::detail {

namespace {

// What every wake-up and every switch needs of a block.
void warm_block(const control_block& block) noexcept {
  __builtin_prefetch(&block);
  __builtin_prefetch(reinterpret_cast<const std::byte*>(&block) + 64);
}

// The frames of a fiber from the switch up to the operation that parked.
void warm_stack(const control_block& block) noexcept {
  constexpr std::size_t warm_bytes = 512;
  const auto* const stack = static_cast<const std::byte*>(stack_pointer_of(block.context));
  if (stack == nullptr) return;  // main, before it has ever left
  for (std::size_t offset = 0; offset < warm_bytes; offset += 64)
    __builtin_prefetch(stack + offset);
}

// What the function of a fiber has captured: in the block, or on the heap. Main has none there.
void warm_task(const control_block& block) noexcept {
  if (block.task == nullptr) return;
  __builtin_prefetch(block.task);
  if (block.heap_task_alignment_log2 == 0) return;  // the rest of the block
  constexpr std::size_t cache_line = 64;
  __builtin_prefetch(reinterpret_cast<const std::byte*>(block.task) + cache_line);
}

}  // namespace

std::uint32_t coarse_milliseconds() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return static_cast<std::uint32_t>(now.tv_sec * 1'000 + now.tv_nsec / 1'000'000);
}

void scheduler::warm_next() const noexcept {
  const control_block* const next = ready_.first();
  if (next == nullptr) return;
  warm_stack(*next);
  // Its stack pointer can only be read when the block is here: that of the one after it, for then.
  __builtin_prefetch(ready_.second());
}

void scheduler::idle() {
  while (ready_.empty()) {
    if (more_is_due_) {
      poll(deadline_clock::time_point::min());
      continue;
    }
    const bool is_test = clock_ != nullptr || !watchers_.empty();
    if (retry_stalled() || (is_test && wakes_from_calm())) continue;
    // Virtual time passes for nobody who waits in real time.
    const auto next = std::min(timers_.next_expiry(), scope_timers_.next_expiry());
    auto wake_up = clock_ != nullptr ? no_deadline : next;
    if (!stalled_.empty()) wake_up = std::min(wake_up, deadline_clock::now() + stack_pause);
    poll(ending_ ? std::min(wake_up, gives_up_at()) : wake_up);
  }
}

// Whether there is something to do before this worker has to sleep: what the driver reports at
// once, who waits for calm, what is due when the virtual clock jumps.
bool scheduler::wakes_from_calm() {
  poll(deadline_clock::time_point::min());
  if (!ready_.empty() || watchers_.wake_one(wake_reason::ready)) return true;
  if (clock_ == nullptr || clock_->how_ != testing::time_moves::when_all_wait) return false;
  const auto next = std::min(timers_.next_expiry(), scope_timers_.next_expiry());
  if (next == no_deadline) return false;
  clock_->advance_to(next);
  poll(deadline_clock::time_point::min());
  return true;
}

testing::holdings scheduler::count_holdings() noexcept {
  testing::holdings result;
  result.fibers = live_fibers();
  const auto count_waiting = [&](const control_block& block) {
    const bool runs =
        block.has_status(fiber_status::started) || block.has_status(fiber_status::resting);
    if (runs && block.wait.armed()) ++result.waiting;
  };
  if (index_ == 0) count_waiting(main_);  // the others wait for the end of the run
  blocks_->for_each(count_waiting);
  result.stacks = stacks_.in_use() - (idle_runner_ != nullptr ? 1 : 0);
  result.timers = timers_.size() - (trim_timer_.armed() ? 1 : 0);
  result.scopes = scope_timers_.size();
  result.driver_has_waiters = driver_->has_waiters();
  return result;
}

void scheduler::poll(deadline_clock::time_point deadline) {
  // Sequentially consistent, as the stores in request_stop() and install_driver(): either that one
  // wakes the driver that is polled here, or the request is seen.
  if (stop_requested_.load(std::memory_order_seq_cst)) obey_stop_request();
  const int saved_errno = *errno_;  // of the fiber that parks
  // Whatever a driver calls: no fiber runs that could yield.
  budget = UINT_MAX;
  if (has_mail()) take_mail();
  driver_->poll(ready_.empty() ? deadline : deadline_clock::time_point::min());
  if (has_mail()) take_mail();
  // One that did not sleep takes little time, and less than the clock does.
  constexpr unsigned polls_a_look = 16;
  const bool may_have_slept = deadline != deadline_clock::time_point::min();
  if (notes_waits && (may_have_slept || ++polls_ % polls_a_look == 0)) {
    coarse_now_ = coarse_milliseconds();
  }
  more_is_due_ = (!timers_.empty() || !scope_timers_.empty()) && expire_due();
  if (ending_) lose_patience();
  budget = budget_a_run;
  *errno_ = saved_errno;
}

// Waits and scopes in the order of their deadlines, however late the worker comes to it; in the
// same tick the scopes first. True when more may be due.
bool scheduler::expire_due() noexcept {
  const auto until = now();
  const bool soon = until - std::exchange(last_expiry_, until) < tick;
  std::size_t most = soon ? timers_a_poll : timers_a_late_poll;
  // All that is due at a moment at which a clock stands still.
  if (clock_ != nullptr) most = std::numeric_limits<std::size_t>::max();
  if (scope_timers_.empty()) {
    expire_timers(until, most);
    return most == 0;
  }
  while (most != 0 && (!timers_.empty() || !scope_timers_.empty())) {
    const auto wait = timers_.next_expiry();
    const auto scope = scope_timers_.next_expiry();
    const auto first = std::min(wait, scope);
    if (first > until) break;
    if (!scope_timers_.empty() && scope <= wait) {
      scope_timers_.expire(first, [](timer_node& node) {
        cancel_scope_for(scope_state::of(node), verdict::expired);
      });
    } else {
      expire_timers(first, most);
    }
  }
  return most == 0;
}

// A fiber that slept long is nowhere in the cache: its block is fetched while those before it are
// woken, and then what its stack ends with, while those after it are.
void scheduler::expire_timers(deadline_clock::time_point until, std::size_t& most) noexcept {
  std::array<timer_node*, 16> fetched{};  // a ring
  std::size_t taken = 0;
  timers_.expire_some(until, most, [&](timer_node& node) {
    if (&node != &trim_timer_) warm_block(control_block::of(node));
    timer_node* const oldest = std::exchange(fetched[taken++ % fetched.size()], &node);
    if (oldest != nullptr) on_timer(*oldest);
  });
  for (std::size_t i = 0; i < fetched.size(); ++i) {
    timer_node* const oldest = fetched[(taken + i) % fetched.size()];
    if (oldest != nullptr) on_timer(*oldest);
  }
}

void scheduler::on_timer(timer_node& node) noexcept {
  if (&node == &trim_timer_) {
    if (stacks_.trim()) timers_.arm(trim_timer_, now() + trim_pause);
    return;
  }
  control_block& block = control_block::of(node);
  const bool woken = wake(block.wait, wake_reason::timed_out);
  if (planted(bug::deadline_readies_again) && !woken) make_ready(block);
  if (!woken) return;
  warm_task(block);
  warm_stack(block);
}

void scheduler::trim_later() noexcept {
  // A virtual clock would jump for it.
  if (!trim_timer_.armed() && clock_ == nullptr) timers_.arm(trim_timer_, now() + trim_interval);
}

void scheduler::install_driver(std::unique_ptr<driver> replacement, const void* kind) {
  retired_drivers_.push_back(std::move(driver_));  // or throws, and has moved nothing
  driver_ = std::move(replacement);
  installed = driver_.get();
  installed_kind = kind;
  // Pairs with the load in request_stop(), which may still wake the retired driver: that one stays,
  // and this worker looks at the request before it polls the new one.
  wakeable_.store(driver_.get(), std::memory_order_seq_cst);
}

// ---- for the libraries above fiber/ -------------------------------------------------------------

void install_driver(std::unique_ptr<driver> replacement, const void* kind) {
  scheduler* const worker = scheduler::running();
  if (worker == nullptr) {
    misuse("an operation that waits for the system, such as a read of a socket, was called on a "
           "thread that runs no fibers; call it inside weft::run()");
  }
  worker->install_driver(std::move(replacement), kind);
}

}  // namespace weft::detail
