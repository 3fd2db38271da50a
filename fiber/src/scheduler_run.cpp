// A run of a worker, from its main fiber to the end of the last one.
#include <cerrno>
#include <new>
#include <pthread.h>
#include <string>
#include <utility>

#include <weft/fiber/detail/worker.hpp>

#include "last_words.hpp"
#include "scheduler.hpp"
#include "stack_overflow.hpp"
#include "stack_watch.hpp"
#include "task_extras.hpp"
#include "worker_group.hpp"

namespace weft::detail {

void scheduler::adopt_thread() noexcept {
  if (running_worker != nullptr) misuse("runtime::run was called on a thread that runs one");
  running_worker = this;
  exceptions_ = &thread_exception_globals();
  errno_ = &errno;
  pthread_attr_t attributes;
  void* bottom = nullptr;
  std::size_t size = 0;
  // Without memory nothing is known of it: an overflow of main is a mere fault then.
  if (::pthread_getattr_np(::pthread_self(), &attributes) == 0) {
    ::pthread_attr_getstack(&attributes, &bottom, &size);
    ::pthread_attr_destroy(&attributes);
  }
  thread_stack_ = {static_cast<const std::byte*>(bottom), size};
  main_sanitizer_.adopt_thread(bottom, size);
}

stack_bounds scheduler::stack_in_use() const noexcept {
  const control_block* const self = current_if_any();
  if (self == nullptr || self == &main_) return thread_stack_;
  const stack& used = self->bound_stack != nullptr ? *self->bound_stack : *runs_on_;
  return {used.base, used.size};
}

std::size_t scheduler::stack_high_water(const control_block& block) const noexcept {
  const bool has_stack = block.has_status(fiber_status::started) && block.bound_stack != nullptr;
  if (!watches_stacks_ || block.is_coroutine() || !has_stack) return 0;
  return high_water(*block.bound_stack);
}

void scheduler::run(task_base& main_task) {
  const overflow_watch watch;
  adopt_thread();
  main_.id = next_fiber_id();
  // Once, for a dump may read it. Without memory it is called by its id.
  if (main_.name.text == nullptr) main_.give_name("main");
  main_.status.store(fiber_status::started, std::memory_order_relaxed);
  main_.cancel_requested.store(false, std::memory_order_relaxed);
  main_.judge();
  main_.refusals = 0;
  make_current(&main_);
  read_floating_point_control(control_of_thread_);
  ending_ = false;
  coarse_now_ = coarse_milliseconds();
  gives_up_at_.store(deadline_clock::time_point::min(), std::memory_order_relaxed);
  obey_stop_request();
  take_mail();  // what was posted before
  main_task.run();
  if (main_.extras != nullptr) end_extras(main_.extras);
  siblings_->begin_to_end();
  close_to_others();
  end_remaining_fibers();
  siblings_->end_together();
  stop_requested_.store(false, std::memory_order_relaxed);  // it was for this run
  main_.status.store(fiber_status::done, std::memory_order_relaxed);
  if (main_.extras != nullptr) end_extras(main_.extras);  // made by what others left to destroy
  make_current(nullptr);
  end_runners();
  running_worker = nullptr;
}

void scheduler::inherit_from_thread() {
  if (!inherit_context(main_)) throw std::bad_alloc{};
}

void scheduler::end_remaining_fibers() {
  gives_up_at_.store(deadline_clock::now() + shutdown_patience, std::memory_order_relaxed);
  has_more_time_ = false;
  ending_ = true;
  if (live_fibers() != 0 || awaits_arrivals()) siblings_->watch_the_end();
  blocks_->for_each([this](control_block& block) {
    if (block.has_status(fiber_status::unstarted) || block.has_status(fiber_status::started) ||
        block.has_status(fiber_status::resting)) {
      cancel(block);
    }
  });
  for (;;) {
    ended_.lock.lock();
    if (live_fibers() == 0 && !awaits_arrivals()) break;
    next_wait = 0;
    wait(ended_.list, ended_.lock, no_deadline, cancellation::ignored);
  }
  ended_.lock.unlock();
  gives_up_at_.store(no_deadline, std::memory_order_relaxed);
}

// No timer of the fibers' own time: a virtual clock may jump or stand still while they end.
void scheduler::lose_patience() {
  const auto now = deadline_clock::now();
  if (now < gives_up_at() || (live_fibers() == 0 && !awaits_arrivals())) return;
  // So late because the process was stopped (Ctrl-Z), or a fiber has computed: perhaps they have
  // not had the time.
  constexpr std::chrono::milliseconds late{100};
  if (now - gives_up_at() > late && !std::exchange(has_more_time_, true)) {
    gives_up_at_.store(now + std::chrono::seconds(1), std::memory_order_relaxed);
  } else {
    die_of_stubborn_fibers();
  }
}

void scheduler::die_of_stubborn_fibers() {
  std::string names;
  std::size_t listed = 0;
  blocks_->for_each([&](control_block& block) {
    if (block.has_status(fiber_status::done) || ++listed > 10) return;
    names += (names.empty() ? "\"" : ", \"") + block.display_name() + '"';
  });
  if (live_fibers() > 10) names += " and " + std::to_string(live_fibers() - 10) + " more";
  end_process("the runtime is ending, but these fibers ignore for 5 s that they are cancelled: " +
              names);
}

void scheduler::die_of_running_fiber() {
  std::string name;
  const auto note_if_running = [&](const control_block& block) {
    // While the slab is locked the block that this names keeps its name.
    if (&block == current_.load(std::memory_order_acquire)) name = block.display_name();
  };
  note_if_running(main_);
  blocks_->for_each(note_if_running);
  end_process("the runtime is ending, but fiber \"" + name + "\" on worker " +
              std::to_string(index_) + " has run for 5 s without a wait");
}

}  // namespace weft::detail
