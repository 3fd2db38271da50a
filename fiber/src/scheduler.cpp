#include "scheduler.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <new>
#include <sched.h>
#include <utility>

#include <weft/fiber/detail/fiber_owner.hpp>
#include <weft/fiber/detail/planted.hpp>
#include <weft/fiber/detail/worker.hpp>
#include <weft/fiber/diagnostics.hpp>
#include <weft/fiber/error.hpp>
#include <weft/fiber/this_fiber.hpp>

#include "registry.hpp"
#include "sleeping_driver.hpp"
#include "stack_watch.hpp"
#include "task_extras.hpp"

namespace weft::detail {
namespace {

// Adds to what only the owner writes and others read.
void add(atomic<std::size_t>& count, std::size_t difference) noexcept {
  count.store(count.load(std::memory_order_relaxed) + difference, std::memory_order_relaxed);
}

// Reports of ThreadSanitizer call a stack by what runs on it, or has run last.
void name_stack([[maybe_unused]] stack& named,
                [[maybe_unused]] const control_block& block) noexcept {
#ifdef WEFT_TSAN
  if (const char* const given = block.name.text) return named.sanitizer.name(given);
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), "fiber %llu",
                static_cast<unsigned long long>(block.number()));
  named.sanitizer.name(text.data());
#endif
}

// Of each worker its own, where a seed decides it.
std::unique_ptr<std::mt19937_64> make_order(const runtime_options& options, unsigned index) {
  if (!options.order_seed) return nullptr;
  return std::make_unique<std::mt19937_64>(*options.order_seed + index);
}

// Ids of all runtimes. Relaxed: only the values need to differ.
atomic<std::uint64_t> last_fiber_id{0};

}  // namespace

fiber_id next_fiber_id() noexcept {
  // A thread takes so many at once.
#ifdef WEFT_MODEL_CHECK
  constexpr std::uint64_t step = 1;  // one run of a model must be like another
#else
  constexpr std::uint64_t step = 64;
#endif
  constinit thread_local std::uint64_t last = 0;
  if (last % step == 0) last = last_fiber_id.fetch_add(step, std::memory_order_relaxed);
  return fiber_id{++last};
}

constinit thread_local worker_view* running_worker = nullptr;

scheduler::scheduler(const runtime_options& options, worker_group& siblings, unsigned index)
    : picks_a_round_(options.order_seed ? 1 : picks_a_poll),
      timers_(options.clock != nullptr ? options.clock->now() : deadline_clock::now()),
      scope_timers_(options.clock != nullptr ? options.clock->now() : deadline_clock::now()),
      watches_stacks_(stacks_are_to_be_watched()), driver_(std::make_unique<sleeping_driver>()),
      wakeable_(driver_.get()), stacks_(options.guard, *this), order_(make_order(options, index)),
      blocks_(block_slab::create(this)), clock_(options.clock),
      default_class_(stack_pool::class_of(options.stack_size).value_or(0)), siblings_(&siblings),
      index_(index) {
  main_.wait.resume = &resume_fiber;
  main_.references.store(1, std::memory_order_relaxed);  // ours: it is no block of the slab
  main_.wait.home = this;
  if (clock_ != nullptr) virtual_now = &clock_->now_;
  if (order_ != nullptr) picks_until_poll_ = picks_a_round_;
  list_scheduler(*this);
}

scheduler::~scheduler() {
  unlist_scheduler(*this);
  while (!planted(bug::goes_beside_visitors) && visitors_.load(std::memory_order_acquire) != 0) {
    ::sched_yield();
  }
  drop_mail();
  end_runners();
  blocks_->abandon();
  frames.give_back();
}

// ---- from spawn to the end -------------------------------------------------------------------

control_block* scheduler::reserve(const spawn_options& options, const spawn_place& place,
                                  std::error_code& ec) {
  const bool remote = running() != this;
  if (remote && !enter_remotely()) {
    ec = errc::closed;
    return nullptr;
  }
  std::uint8_t size_class = stackless;
  control_block* const block = reserve_stack(options, place, size_class, ec)
                                   ? reserve_block(options, size_class, ec)
                                   : nullptr;
  if (block == nullptr) {
    if (remote) leave_remotely();
    return nullptr;
  }
  block->group = place.group;
  if (place.group != nullptr) place.group->add(*block);
  return block;
}

bool scheduler::reserve_stack(const spawn_options& options, const spawn_place& place,
                              std::uint8_t& size_class, std::error_code& ec) {
  if (place.stackless) return reserve_runner(ec);
  size_class = default_class_;
  if (options.stack_size != 0) {
    const auto wanted = stack_pool::class_of(options.stack_size);
    if (!wanted) {
      ec = std::make_error_code(std::errc::invalid_argument);
      return false;
    }
    size_class = *wanted;
  }
  return stacks_.reserve(size_class, ec);
}

// Gives up what reserve_stack() has reserved.
void scheduler::cancel_stack(std::uint8_t size_class) noexcept {
  if (size_class != stackless) stacks_.cancel_reservation(size_class);
}

control_block* scheduler::reserve_block(const spawn_options& options, std::uint8_t size_class,
                                        std::error_code& ec) {
  control_block* const block = blocks_->allocate();
  if (block == nullptr || !block->give_name(options.name) || !inherit_context(*block)) {
    if (block != nullptr) block_slab::free(*block);
    cancel_stack(size_class);
    ec = std::make_error_code(std::errc::not_enough_memory);
    return nullptr;
  }
  block->wait.home = this;
  block->size_class = size_class;
  block->location = options.location;
  block->spawned_by = this_fiber::get_id();
  block->id = next_fiber_id();
  if (size_class != stackless) read_floating_point_control(block->context);
  if (ec) ec.clear();
  return block;
}

void scheduler::start(control_block& block, task_base& task) noexcept {
  block.task = &task;
  block.shares.store(1, std::memory_order_relaxed);
  block.references.store(block.group != nullptr ? 2 : 1, std::memory_order_relaxed);
  if (block.group != nullptr) block.group->start(block);
  if (running() == this) {
    admit(block);
  } else {
    block.status.store(fiber_status::arriving, std::memory_order_relaxed);
    make_ready_remotely(block);
  }
}

void scheduler::admit(control_block& block) noexcept {
  block.status.store(fiber_status::unstarted, std::memory_order_relaxed);
  if (ending_) {
    block.cancel_requested.store(true, std::memory_order_relaxed);
    block.judge();
  }
  add(live_, 1);
  make_ready(block);
}

void scheduler::abandon(control_block& block) noexcept {
  cancel_stack(block.size_class);
  if (block.group != nullptr) block.group->remove(block);
  block_slab::free(block);
  if (running() != this) leave_remotely();
}

// Whether `next` can run on this stack, on which nothing runs any more.
bool scheduler::take_over(stack& mine, control_block& next) noexcept {
  if (next.is_coroutine()) {
    if (mine.size_class != default_class_ || next.has_status(fiber_status::started)) return false;
  } else {
    if (!next.has_status(fiber_status::unstarted) || next.size_class != mine.size_class) {
      return false;
    }
    stacks_.cancel_reservation(next.size_class);
    if (watches_stacks_) [[unlikely]]
      repaint_below(mine);
    next.bound_stack = &mine;
    next.status.store(fiber_status::started, std::memory_order_relaxed);
  }
  runs_on_ = &mine;
  name_stack(mine, next);
  make_current(&next);
  budget = budget_a_run;
  return true;
}

void scheduler::run_task(control_block& self) noexcept {
  load_floating_point_control(self.context);
  if (self.cancel_requested.load(std::memory_order_relaxed)) {
    self.task->abandon();
  } else {
    self.task->run();
  }
  settle(self);
}

// Notes how the function of a task has ended, and tells its group of a failure.
void scheduler::settle(control_block& self) noexcept {
  if (!self.task->failure) return;
  note_outcome(self);
  if (self.group != nullptr && !self.task->cancelled) self.group->on_failure(self);
}

// What ends with the fiber, on it, where it may still wait.
void scheduler::unwind(control_block& self) noexcept {
  if (self.extras != nullptr) end_extras(self.extras);
  // Without a handle what is left of the task goes here. Pairs with the store in give_up_share().
  if (self.shares.load(std::memory_order_acquire) != 0) return;
  if (self.task != nullptr) drop_task(self);
  if (self.extras != nullptr) end_extras(self.extras);  // made by a destructor of the task
}

void scheduler::finish(control_block& self) noexcept {
  if (&self == forked_) end_child(self);
  fiber_owner* const group = self.group;
  auto how = control_block::end::with_a_task;
  do {
    unwind(self);
    if (watches_stacks_ && !self.is_coroutine()) [[unlikely]]
      warn_if_deep(self);
    // First: for whoever has joined the fiber it loads its worker no more.
    add(live_, -std::size_t{1});
    how = self.announce_end();
    if (how == control_block::end::with_a_task) add(live_, 1);
  } while (how == control_block::end::with_a_task);
  make_current(nullptr);
  if (group != nullptr) {
    group->remove(self);
    release_reference(self);
  }
  if (how == control_block::end::unshared) release_reference(self);
  // Before the end of the run nobody waits for that.
  if (ending_ && live_fibers() == 0) ended_.wake_all(wake_reason::ready);
}

// ---- switching ---------------------------------------------------------------------------------

void scheduler::bind_stack(control_block& block) noexcept {
  stack& bound = stacks_.take(block.size_class);
  block.bound_stack = runs_on_ = &bound;
  block.status.store(fiber_status::started, std::memory_order_relaxed);
  bound.sanitizer.prepare(bound.base, bound.size);
  name_stack(bound, block);
  if (watches_stacks_) [[unlikely]]
    repaint(bound);
  start_context(block.context, bound.top(), bound.size - bound.colour, &scheduler::fiber_entry);
}

sanitizer_context& scheduler::sanitizer_of(control_block& block) noexcept {
  if (block.is_coroutine() && block.bound_stack == nullptr) return runs_on_->sanitizer;
  return block.bound_stack != nullptr ? block.bound_stack->sanitizer : main_sanitizer_;
}

// What to switch to so that `block` runs; null for a coroutine when there is no stack to run it on.
machine_context* scheduler::context_to_run(control_block& block) noexcept {
  if (block.has_status(fiber_status::started)) return &block.context;
  if (block.is_coroutine()) {
    block.clear_exceptions();
    machine_context* const runner = take_runner();
    if (runner != nullptr) name_stack(*runs_on_, block);
    return runner;
  }
  bind_stack(block);
  return &block.context;
}

// The same with the block: of `chosen`, or of the next that can run.
scheduler::target scheduler::target_to_run(control_block& chosen) noexcept {
  control_block* next = &chosen;
  for (;;) {
    if (machine_context* const found = context_to_run(*next)) return {next, found};
    stalled_.push(*next);
    next = &pick_next();
  }
}

void scheduler::make_current(control_block* block) noexcept {
  current_.store(block, std::memory_order_release);
  judgement = block != nullptr ? &block->judgement : nullptr;
}

// To `chosen` or, if that needs a stack and there is none, to the next that can run. What follows
// the switch finds its worker by the thread: of a fiber that has not run for long the stack is not
// in the cache, and nothing waits for it but what its caller keeps there.
void scheduler::switch_to(control_block& chosen) noexcept {
  control_block& self = current();
  budget = budget_a_run;
  if (&chosen == &self) return;
  // A coroutine that blocks keeps the stack of its runner until it suspends again.
  if (self.is_coroutine()) self.bound_stack = runs_on_;
  target to{&chosen, &chosen.context};
  if (!chosen.has_status(fiber_status::started)) {
    to = target_to_run(chosen);
    if (to.block == &self) return keep_stack(self);
  }
  // A park may happen between a system call and the look at its errno.
  const int saved_errno = *errno_;
  self.save_exceptions(*exceptions_);
  to.block->restore_exceptions(*exceptions_);
  make_current(to.block);
  sanitizer_leave(&sanitizer_of(self), sanitizer_of(*to.block));
  switch_context(self.context, *to.context);
  scheduler& here = *running();
  sanitizer_arrive(here.sanitizer_of(self));
  if (self.is_coroutine()) here.keep_stack(self);
  *here.errno_ = saved_errno;
}

// What runs is the end of a fiber, on the stack `mine`, which is free from here on: nothing takes
// it before the switch.
WEFT_NOT_COUNTED_BY_TSAN inline void scheduler::leave_for(stack& mine,
                                                          control_block& chosen) noexcept {
  // Bound first, or it could be given the stack that is still in use.
  const target to = target_to_run(chosen);
  stacks_.release(mine);
  trim_later();
  to.block->restore_exceptions(*exceptions_);
  make_current(to.block);
  budget = budget_a_run;
  sanitizer_leave(nullptr, sanitizer_of(*to.block));
  switch_context(left_for_good_, *to.context);
  __builtin_unreachable();
}

// What runs is the end of a coroutine on a stack that waits here for the next one, or for good.
WEFT_NOT_COUNTED_BY_TSAN inline void scheduler::rest(stack& mine, control_block& chosen) noexcept {
  const target to = target_to_run(chosen);
  idle_runner_ = &mine;
  to.block->restore_exceptions(*exceptions_);
  make_current(to.block);
  budget = budget_a_run;
  sanitizer_leave(&mine.sanitizer, sanitizer_of(*to.block));
  switch_context(runner_context_, *to.context);
  sanitizer_arrive(mine.sanitizer);
}

// What a stack does: it runs fibers to their end, and coroutines until they suspend.
WEFT_NOT_COUNTED_BY_TSAN inline void scheduler::run_on(stack& mine) {
  for (;;) {
    control_block& self = current();
    const bool is_runner = self.is_coroutine();
    if (is_runner) {
      run_coroutine(self);
    } else {
      run_task(self);
      finish(self);
    }
    // The block may be gone now.
    control_block& next = stalled_.empty() ? pick_next() : stalled_.pop();
    if (take_over(mine, next)) {
      // Coroutines do not find what a fiber has left.
      if (!is_runner && next.is_coroutine()) load_floating_point_control(control_of_thread_);
      continue;
    }
    if (!is_runner || idle_runner_ != nullptr || mine.size_class != default_class_) {
      leave_for(mine, next);
    }
    rest(mine, next);
  }
}

WEFT_NOT_COUNTED_BY_TSAN void scheduler::fiber_entry() {
  scheduler& self = *running();
  stack& mine = *self.runs_on_;
  sanitizer_arrive(mine.sanitizer);
  self.run_on(mine);
}

// Goes on where it blocked; a coroutine on the stack that is its runner's again.
void scheduler::keep_stack(control_block& self) noexcept {
  if (self.is_coroutine()) runs_on_ = std::exchange(self.bound_stack, nullptr);
}

// For a yield: whether somebody is. If not, it may be because nobody has looked what has happened.
bool scheduler::others_are_ready() {
  if (!ready_.empty()) return true;
  picks_until_poll_ = picks_a_round_;
  poll(deadline_clock::time_point::min());
  retry_stalled();
  return !ready_.empty();
}

void scheduler::yield() noexcept {
  if (!others_are_ready()) return;
  ready_.push(current());
  switch_to(pick_next());
}

wake_reason scheduler::park(cancellation mode) {
  control_block& self = current();
  if (!end_if_cancelled(self, mode)) switch_to(pick_next());
  return self.wait.reason();
}

// For who looks at the process.
void scheduler::note_wait_of(control_block& self) noexcept {
  if constexpr (!notes_waits) return;
  self.waits_for = std::exchange(next_wait, 0);
  self.waits_since = coarse_now_;
}

// Of the wait that has just begun.
bool scheduler::end_if_cancelled(control_block& self, cancellation mode) noexcept {
  self.forget_refusals();
  note_wait_of(self);
  self.wait_is_cancellable = mode == cancellation::honoured;
  if (!self.wait_is_cancellable || planted(bug::fiber_deaf_between_waits)) return false;
  // Cancelled after its last check: woken, and before it ran on, in an operation that waits again.
  const verdict now = self.judged();
  return now != verdict::none && self.wait.claim(reason_of(now));
}

wake_reason scheduler::park_until(deadline_clock::time_point deadline, cancellation mode) {
  if (deadline == no_deadline) return park(mode);
  control_block& self = current();
  timers_.arm(self.timer, deadline);
  const wake_reason reason = park(mode);
  timers_.cancel(self.timer);
  return reason;
}

// ---- choosing the next fiber -------------------------------------------------------------------

// Before a pick that finds nobody, and now and then.
void scheduler::look_around() {
  const bool must_wait = ready_.empty();
  if (must_wait) idle();
  picks_until_poll_ = picks_a_round_;
  if (!must_wait) {
    poll(deadline_clock::time_point::min());
    if constexpr (notes_waits) coarse_now_ = coarse_milliseconds();
    retry_stalled();
  }
  if (order_ != nullptr) reorder_ready();
}

void scheduler::reorder_ready() noexcept {
  ready_.bring_forward((*order_)() % ready_.size_in_window());
}

// ---- cancellation ------------------------------------------------------------------------------

bool scheduler::refuse() noexcept {
  count_refusal();
  spend_budget();
  return true;
}

void scheduler::count_refusal() noexcept {
  control_block& self = current();
  // Once for a fiber: it stays above.
  if (self.refusals == 1'000 || ++self.refusals != 1'000) return;
  try {
    diagnose("fiber \"" + self.display_name() +
             "\" is cancelled, but goes on after 1,000 calls that told it so");
  } catch (const std::bad_alloc&) {
    --self.refusals;  // at the next one
  }
}

void scheduler::obey_stop_request() noexcept {
  if (stop_requested_.exchange(false, std::memory_order_acquire)) cancel(root());
}

}  // namespace weft::detail
