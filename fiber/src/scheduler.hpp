// One worker: its ready fibers, its timers, its stacks, and the driver that it polls when idle.
//
// A fiber that parks chooses the next one itself and switches to it: fiber to fiber is one switch.
// When none is ready it polls the driver, on its own stack, until one is. A fiber that ends leaves
// its stack to the next that has not started yet, if that is ready next.
// Threads: the worker only, but for what says otherwise.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <random>
#include <system_error>
#include <vector>

#include <weft/fiber/detail/atomic.hpp>
#include <weft/fiber/detail/continuation.hpp>
#include <weft/fiber/detail/wait.hpp>
#include <weft/fiber/detail/worker_view.hpp>
#include <weft/fiber/driver.hpp>
#include <weft/fiber/runtime.hpp>
#include <weft/fiber/testing/leak_check.hpp>
#include <weft/fiber/testing/virtual_clock.hpp>

#include "block_slab.hpp"
#include "control_block.hpp"
#include "inbox.hpp"
#include "ready_queue.hpp"
#include "stack_pool.hpp"
#include "timer_wheel.hpp"

namespace weft::detail {

class worker_group;
struct registry;

class scheduler : private worker_view {
public:
  scheduler(const runtime_options& options, worker_group& siblings, unsigned index);
  scheduler(const scheduler&) = delete;
  scheduler& operator=(const scheduler&) = delete;
  ~scheduler();

  // The scheduler that runs on the calling thread, or null.
  static scheduler* running() noexcept { return static_cast<scheduler*>(running_worker); }

  static scheduler& of(worker_view& view) noexcept { return static_cast<scheduler&>(view); }

  // The running fiber; there is none while one that has ended looks for the next.
  control_block& current() noexcept { return *current_.load(std::memory_order_relaxed); }

  // Whether the task is the one that runs. The worker only.
  bool is_current(const control_block& block) const noexcept {
    return current_.load(std::memory_order_relaxed) == &block;
  }

  // Another thread may compare it; what it points to may be gone.
  const control_block* current_if_any() const noexcept {
    return current_.load(std::memory_order_relaxed);
  }

  // Gives the next main fiber what the calling thread, which is to run it, has bound.
  // Errors: std::bad_alloc.
  void inherit_from_thread();
  // Runs `main_task` as the main fiber, then ends what is left; returns when all workers have.
  void run(task_base& main_task);
  // Cancels the main fiber. From any thread and from a signal handler.
  void request_stop() noexcept;

  // From any thread. Errors: as weft::spawn(), and errc::closed on
  // another thread once the fibers of the run are being ended.
  control_block* reserve(const spawn_options& options, const spawn_place& place,
                         std::error_code& ec);
  void start(control_block& block, task_base& task) noexcept;
  void abandon(control_block& block) noexcept;

  // See warm_next_fiber().
  void warm_next() const noexcept;

  void make_ready(control_block& block) noexcept { ready_.push(block); }

  // The same from another thread.
  void make_ready_remotely(control_block& block) noexcept;

  void yield() noexcept;

  // Has the next yield or park look at what is due.
  void poll_soon() noexcept { picks_until_poll_ = 1; }

  // Parks the running fiber, whose waiter is armed, until a claim makes it ready.
  wake_reason park(cancellation mode);
  // Arms the running fiber's timer around a park(), if there is a deadline.
  wake_reason park_until(deadline_clock::time_point deadline, cancellation mode);

  // For a coroutine, which then returns to its runner: the same up to the switch. False when the
  // wait has ended already. The timer is cancelled by end_suspension().
  bool suspend_until(continuation& then, deadline_clock::time_point deadline,
                     cancellation mode) noexcept;
  wake_reason end_suspension(deadline_clock::time_point deadline) noexcept;
  // The same for a yield.
  void suspend_ready(continuation& then) noexcept;
  // The same; false if nobody else is ready to run.
  bool suspend_to_yield(continuation& then) noexcept;
  // Runs coroutines of the running task, from `start` until they say that they have ended.
  void run_to_end(continuation& start, const co_frame& outermost) noexcept;
  // From any thread with the block's `join_lock` held, or by the worker.
  void cancel(control_block& block) noexcept;
  // One of the scopes of the fiber was cancelled: ends its wait if that concerns it. From any
  // thread, while the fiber has not ended.
  void check(control_block& block) noexcept;
  // The part of it that holds for what the fiber does next.
  void ask_to_judge(control_block& block) noexcept;

  // One more call that was refused because its task is cancelled.
  void count_refusal() noexcept;

  bool refuse_if_cancelled() noexcept { return current().judged() != verdict::none && refuse(); }

  // The deadlines of the scopes that fibers of this worker are in.
  timer_wheel& scope_timers() noexcept { return scope_timers_; }

  void spend_budget() noexcept {
    if (--budget == 0) yield();
  }

  // Woken one after the other when no fiber is ready and the driver has nothing to report at once.
  wait_queue& when_all_wait() noexcept { return watchers_; }

  // What this worker alone holds.
  testing::holdings count_holdings() noexcept;

  // The fibers but for the main one; false when they are being changed at this moment. Any thread.
  template <class Visit>
  bool try_for_each_fiber(Visit&& visit) {
    return blocks_->try_for_each(visit);
  }

  const control_block& main() const noexcept { return main_; }

  // The stack that the running task uses; of a fiber with its guard page. On its thread, and in
  // handlers of signals there.
  stack_bounds stack_in_use() const noexcept;

  // How deep a fiber that has started has used its stack; 0 where that is not watched, as of
  // coroutines and main. The worker only, and handlers of signals there.
  std::size_t stack_high_water(const control_block& block) const noexcept;

  // Replaces the driver that only sleeps by one of this kind, an address that its library owns.
  void install_driver(std::unique_ptr<driver> replacement, const void* kind);

  deadline_clock::time_point now() const noexcept {
    return clock_ != nullptr ? clock_->now() : deadline_clock::now();
  }

  // Fibers that have been spawned and have not ended, but for main. From any thread.
  std::size_t live_fibers() const noexcept { return live_.load(std::memory_order_relaxed); }

  // The same with those that other threads have reserved here and that have not arrived; one that
  // arrives may be counted twice. From any thread.
  std::size_t load() const noexcept {
    return live_fibers() + arriving_.load(std::memory_order_relaxed);
  }

  // From now on other threads may spawn fibers here, or no longer. Any thread.
  void open_to_others() noexcept;
  void close_to_others() noexcept;

  // Until when this worker waits for its fibers to end, in real time: the smallest value before it
  // has begun to, the largest once they have ended. From any thread.
  deadline_clock::time_point gives_up_at() const noexcept {
    return gives_up_at_.load(std::memory_order_relaxed);
  }

  // Ends the process because the fiber that runs does not let the worker end; from another thread.
  [[noreturn]] void die_of_running_fiber();

  // Whether what is left of the fibers is being ended. The worker only.
  bool is_ending() const noexcept { return ending_; }

  // Around a fork, in the parent and the child: nobody is in the middle of a change meanwhile.
  // From any thread, with the list of schedulers locked.
  void hold_for_fork() noexcept;
  void release_after_fork() noexcept;
  // In the child, of a worker whose runtime does not run.
  void start_anew_after_fork();
  // In the child of a fork in the running fiber: it is alone.
  void keep_running_fiber_alone();
  // In the child: the fibers of this worker, but for the running one, are not there.
  void vanish_fibers() noexcept;

  unsigned index() const noexcept { return index_; }

  worker_group& siblings() const noexcept { return *siblings_; }

  stack_pool& stacks() noexcept { return stacks_; }

  scheduler* next_listed = nullptr;  // of all schedulers of the process, see registry.hpp

  static constexpr std::chrono::seconds shutdown_patience{5};

private:
  friend struct registry;  // tells a debugger where the members are

  // Fibers that run between two looks at the driver while some are ready.
  static constexpr unsigned picks_a_poll = 61;
  // Waits that end by their deadlines in one poll: what their fibers touch stays in the second
  // level of the cache until they run. Fewer than run between two polls, so that the queue gets
  // shorter; more in a poll that comes a tick after the one before, or later, for others take their
  // time.
  static constexpr std::size_t timers_a_poll = 32;
  static constexpr std::size_t timers_a_late_poll = 512;
  static constexpr std::chrono::milliseconds tick{1};
  static constexpr std::chrono::milliseconds trim_interval{1000};
  static constexpr std::chrono::milliseconds trim_pause{10};
  static constexpr std::chrono::milliseconds stack_pause{10};  // until one is asked for again

  bool refuse() noexcept;
  bool others_are_ready();
  bool end_if_cancelled(control_block& self, cancellation mode) noexcept;
  void note_wait_of(control_block& self) noexcept;
  void make_current(control_block* block) noexcept;

  // The next fiber to run, for which it may have to wait.
  control_block& pick_next() {
    if (ready_.empty() || --picks_until_poll_ == 0) [[unlikely]]
      look_around();
    return ready_.pop();
  }

  void look_around();
  void reorder_ready() noexcept;
  bool wakes_from_calm();
  void idle();
  void poll(deadline_clock::time_point deadline);
  bool expire_due() noexcept;
  void expire_timers(deadline_clock::time_point until, std::size_t& most) noexcept;
  void on_timer(timer_node& node) noexcept;
  void trim_later() noexcept;
  void obey_stop_request() noexcept;
  bool has_mail() const noexcept;
  void take_mail() noexcept;
  void receive(control_block& block) noexcept;
  void check_cancellation(control_block& block) noexcept;
  void drop_mail() noexcept;
  void drop(control_block& block) noexcept;
  bool enter_remotely() noexcept;
  void leave_remotely() noexcept;
  bool awaits_arrivals() noexcept;
  void admit(control_block& block) noexcept;
  bool reserve_stack(const spawn_options& options, const spawn_place& place,
                     std::uint8_t& size_class, std::error_code& ec);
  void cancel_stack(std::uint8_t size_class) noexcept;
  control_block* reserve_block(const spawn_options& options, std::uint8_t size_class,
                               std::error_code& ec);

  // What is switched to.
  struct target {
    control_block* block;
    machine_context* context;
  };

  void switch_to(control_block& chosen) noexcept;
  // In line, as run_on() and rest(): a call from which nobody returns would leave the predictor of
  // returns one too many, and then the whole way out of the fiber that is switched to is
  // mispredicted.
  [[noreturn, gnu::always_inline]] inline void leave_for(stack& mine,
                                                         control_block& chosen) noexcept;
  void bind_stack(control_block& block) noexcept;
  machine_context* context_to_run(control_block& block) noexcept;
  [[gnu::noinline]] target target_to_run(control_block& chosen) noexcept;
  sanitizer_context& sanitizer_of(control_block& block) noexcept;
  static void fiber_entry();
  [[noreturn, gnu::always_inline]] inline void run_on(stack& mine);
  bool take_over(stack& mine, control_block& next) noexcept;
  static void run_task(control_block& self) noexcept;
  static void settle(control_block& self) noexcept;
  static void unwind(control_block& self) noexcept;
  void finish(control_block& self) noexcept;

  // See scheduler_coroutines.cpp.
  bool reserve_runner(std::error_code& ec);
  machine_context* take_runner() noexcept;
  bool retry_stalled() noexcept;
  void run_coroutine(control_block& self) noexcept;
  void continue_chain() noexcept;
  void keep_stack(control_block& self) noexcept;
  [[gnu::always_inline]] inline void rest(stack& mine, control_block& chosen) noexcept;
  void end_runners() noexcept;

  // See scheduler_fork.cpp.
  void vanish(control_block& block) noexcept;
  void forget_threads() noexcept;
  void cancel_timers_of(control_block& block) noexcept;
  [[noreturn]] void end_child(control_block& self) noexcept;

  // Which task the run is about: main, or in the child of a fork the one that forked.
  control_block& root() noexcept { return forked_ != nullptr ? *forked_ : main_; }

  void adopt_thread() noexcept;
  void end_remaining_fibers();
  void lose_patience();
  [[noreturn]] void die_of_stubborn_fibers();

  // Constant-initialised, so that reading it calls nothing.

  // Written by the worker. The release pairs with the load in die_of_running_fiber(). No
  // interleaving depends on it, so that the model checker need not know it.
  std::atomic<control_block*> current_{nullptr};
  unsigned picks_until_poll_ = picks_a_poll;
  const unsigned picks_a_round_;  // until the next poll: 1 where a seed decides the order
  ready_queue ready_;
  exception_globals* exceptions_ = nullptr;  // of the thread
  int* errno_ = nullptr;                     // of the thread
  timer_wheel timers_;
  timer_wheel scope_timers_;
  deadline_clock::time_point last_expiry_;
  unsigned polls_ = 0;
  std::uint32_t coarse_now_ = 0;  // coarse_milliseconds() at the last poll
  bool more_is_due_ = false;      // perhaps, than the last poll has ended
  const bool watches_stacks_;     // see stack_watch.hpp

  std::unique_ptr<driver> driver_;
  // The driver as request_stop() sees it; replaced ones live on in `retired_drivers_`.
  atomic<driver*> wakeable_;
  std::vector<std::unique_ptr<driver>> retired_drivers_;
  // Set by request_stop(), taken by obey_stop_request(); the driver's wake() orders the two.
  atomic<bool> stop_requested_{false};

  stack_pool stacks_;
  std::unique_ptr<std::mt19937_64> order_;  // or null
  block_slab* blocks_;  // made when nothing can throw any more, for nobody would abandon it
  testing::virtual_clock* const clock_;  // or null
  wait_queue watchers_;
  control_block main_;
  sanitizer_context main_sanitizer_;
  machine_context left_for_good_;  // where a fiber that has ended saves what nobody restores
  // The stack that a task starts on, and on which the coroutines of the running task run.
  stack* runs_on_ = nullptr;
  // A stack with nothing to do but to run the next coroutine; its context, or that of a new one.
  stack* idle_runner_ = nullptr;
  machine_context runner_context_;
  unsigned lone_yields_ = 0;           // of coroutines, that had nobody to give way to
  machine_context control_of_thread_;  // the floating-point control alone
  stack_bounds thread_stack_{};        // that of main
  // Of `stacks_`, for when there is none idle. Relaxed: whoever has set it has reserved one.
  atomic<bool> runner_reserved_{false};
  ready_queue stalled_;  // coroutines that are ready, but there is no stack to be had
  timer_node trim_timer_;
  const std::uint8_t default_class_;  // of stacks; coroutines run on such
  // Written by the worker. Relaxed: others only compare loads.
  atomic<std::size_t> live_{0};
  bool ending_ = false;
  // See gives_up_at(). Relaxed, and unknown to the model checker: it decides only when to abort.
  std::atomic<deadline_clock::time_point> gives_up_at_{deadline_clock::time_point::min()};
  bool is_held_wholly_ = false;  // around a fork
  bool has_more_time_ = false;   // and gives up a second later
  wait_queue ended_;             // main, while it waits for live_ to become 0
  // In the child of a fork in a fiber that is not main: with its end the process ends.
  control_block* forked_ = nullptr;

  worker_group* const siblings_;
  unsigned index_;
  inbox<control_block, &control_block::next_ready> woken_;
  inbox<control_block, &control_block::next_check> checks_;
  // Threads between a push to an inbox and the end of the wake() after it, during which this must
  // not be destroyed. The decrement pairs with the load in the destructor.
  atomic<std::uint32_t> visitors_{0};
  spin_lock door_;  // guards the next two
  bool open_to_others_ = true;
  // Reserved by other threads, not yet received. Relaxed: changed under the lock, and without it
  // only loads are compared.
  atomic<std::size_t> arriving_{0};
};

inline scheduler& control_block::owner() const noexcept { return scheduler::of(*wait.home); }

// For notes of when something began, which are seldom read: milliseconds of CLOCK_MONOTONIC as of
// the kernel's last tick, the lower 32 bits.
std::uint32_t coarse_milliseconds() noexcept;

// The id of the next fiber of the process.
fiber_id next_fiber_id() noexcept;

// See control_block::shares. The last share takes the task with it, whose failure is then reported
// if nobody has seen it.
void add_share(control_block& block) noexcept;
void give_up_share(control_block& block) noexcept;

// See control_block::references. The last one frees the block.
void add_reference(control_block& block, std::uint32_t count = 1) noexcept;
void release_reference(control_block& block) noexcept;

// Notes whether a fiber whose function has ended was cancelled.
void note_outcome(control_block& block) noexcept;

// What the function of a fiber has thrown, or null; from now on somebody has seen it.
std::exception_ptr retrieve_failure(const control_block& block) noexcept;

// Destroys the task of a fiber that has ended; a failure that nobody has seen is reported.
void drop_task(control_block& block) noexcept;

// Asks a fiber to end, unless it has. From any thread, with a reference to the block.
void cancel_fiber(control_block& block) noexcept;

// The scheduler of the calling thread; ends the process if that runs no fibers.
scheduler& require_scheduler() noexcept;

// As wait() with a list, but the way of a fiber without a deadline is in line.
template <class Lock>
wake_reason wait_in_list(wait_list& list, wait_node& node, Lock& held,
                         deadline_clock::time_point deadline, cancellation mode) {
  scheduler* const worker = scheduler::running();
  if (worker == nullptr || deadline != no_deadline) return wait(list, node, held, deadline, mode);
  waiter& mine = worker->current().wait;
  mine.arm();
  node.owner = &mine;
  list.push_back(node);
  held.unlock();
  const wake_reason reason = worker->park(mode);
  if (must_withdraw(reason)) withdraw(list, node, held);
  return reason;
}

}  // namespace weft::detail
