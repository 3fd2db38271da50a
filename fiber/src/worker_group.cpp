#include "worker_group.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <mutex>
#include <pthread.h>
#include <string>
#include <utility>

#include <weft/fiber/detail/worker.hpp>

namespace weft::detail {

namespace {

// Relaxed: only the values need to differ.
atomic<std::uint64_t> last_runtime_number{0};

// What a worker gets to end the process itself, with the names of all its fibers, before another
// one does that with the name of the one that runs.
constexpr std::chrono::seconds grace{1};

worker_position position_of(const scheduler& worker) noexcept {
  return {worker.siblings().number(), worker.index()};
}

}  // namespace

std::uint64_t take_runtime_number() noexcept {
  return last_runtime_number.fetch_add(1, std::memory_order_relaxed) + 1;
}

worker_position this_worker() noexcept {
  const scheduler* const running = scheduler::running();
  return running != nullptr ? position_of(*running) : worker_position{};
}

worker_position worker_of(waiter& task) noexcept {
  return task.home != nullptr ? position_of(control_block::of(task).owner()) : worker_position{};
}

worker_group::worker_group(const runtime_options& options) : number_(take_runtime_number()) {
  for (unsigned i = 0; i < options.workers; ++i) {
    workers_.push_back(std::make_unique<scheduler>(options, *this, i));
  }
}

scheduler& worker_group::least_loaded() const noexcept {
  return **std::ranges::min_element(
      workers_, {}, [](const std::unique_ptr<scheduler>& each) { return each->load(); });
}

void worker_group::run(task_base& main_task) {
  // Relaxed: it only finds a mistake.
  if (runs_.exchange(true, std::memory_order_relaxed)) {
    misuse("runtime::run was called while it runs");
  }
  run_all(main_task);
  runs_.store(false, std::memory_order_relaxed);
}

void worker_group::run_all(task_base& main_task) {
  ending_ = watched_ = false;
  unended_ = workers_.size();
  for (const auto& each : workers_) each->open_to_others();
  try {
    for (std::size_t i = 1; i < workers_.size(); ++i) {
      threads_.emplace_back([this, i] { run_beside(i); });
    }
    at(0).inherit_from_thread();
  } catch (...) {
    unended_ = threads_.size();
    begin_to_end();
    join_threads();
    runs_.store(false, std::memory_order_relaxed);
    throw;
  }
  at(0).run(main_task);
  join_threads();
}

void worker_group::join_threads() {
  for (std::thread& each : threads_) each.join();
  threads_.clear();
  if (watchman_.joinable()) watchman_.join();  // also of fibers that others had spawned
}

void worker_group::keep_alone(scheduler& mine) noexcept {
  // Not destroyed: the fibers of the other workers, their stacks and what lies there stay as they
  // are. The threads cannot be joined.
  for (auto& each : workers_) {
    if (each.get() == &mine) {
      std::swap(each, workers_.front());
    } else {
      static_cast<void>(each.release());
    }
  }
  workers_.resize(1);
  for (std::thread& each : threads_) ::new (&each) std::thread;
  threads_.clear();
  ::new (&watchman_) std::thread;
  ending_ = watched_ = false;
  unended_ = 1;
  until_ending_.lock.forget_holder();
  until_all_ended_.lock.forget_holder();
}

void worker_group::run_beside(std::size_t index) {
  ::pthread_setname_np(::pthread_self(), ("weft-" + std::to_string(index)).c_str());
  const auto wait_for_the_end = [this] {
    until_ending_.lock.lock();
    while (!ending_) {
      note_wait(wait_kind::other);
      wait(until_ending_.list, until_ending_.lock, no_deadline, cancellation::ignored);
      until_ending_.lock.lock();
    }
    until_ending_.lock.unlock();
  };
  task<decltype(wait_for_the_end)> main_task{std::in_place, wait_for_the_end};
  at(index).run(main_task);
}

void worker_group::begin_to_end() noexcept {
  {
    const std::lock_guard hold{until_ending_.lock};
    if (!ending_) began_to_end_ = deadline_clock::now();
    ending_ = true;
  }
  until_ending_.wake_all(wake_reason::ready);
}

void worker_group::end_together() {
  until_all_ended_.lock.lock();
  if (--unended_ == 0) {
    until_all_ended_.lock.unlock();
    until_all_ended_.wake_all(wake_reason::ready);
    return;
  }
  await_the_end();
}

// With the lock of the queue held, which it gives up.
void worker_group::await_the_end() {
  while (unended_ != 0) {
    const auto deadline = deadline_clock::now() + grace;
    note_wait(wait_kind::other);
    wait(until_all_ended_.list, until_all_ended_.lock, deadline, cancellation::ignored);
    until_all_ended_.lock.lock();
    // Later than that the process was stopped: whoever waits gets the time to do so.
    const bool is_in_time = deadline_clock::now() < deadline + std::chrono::milliseconds(500);
    if (unended_ != 0 && is_in_time) end_if_one_is_stuck();
  }
  until_all_ended_.lock.unlock();
}

void worker_group::watch_the_end() noexcept {
#ifdef WEFT_MODEL_CHECK
  return;  // it decides only when to end the process
#endif
  {
    const std::lock_guard hold{until_ending_.lock};
    if (std::exchange(watched_, true)) return;
  }
  try {
    watchman_ = std::thread{[this] { watch(); }};
  } catch (const std::exception&) {  // no thread to be had, or no memory
    // The workers that have ended their own fibers look, too.
  }
}

void worker_group::watch() noexcept {
  ::pthread_setname_np(::pthread_self(), "weft-end");
  until_all_ended_.lock.lock();
  await_the_end();
}

// With the lock of the queue held: of those that wait only one speaks.
void worker_group::end_if_one_is_stuck() {
  const auto now = deadline_clock::now();
  for (const auto& each : workers_) {
    const auto gives_up_at =
        std::max(each->gives_up_at(), began_to_end_ + scheduler::shutdown_patience);
    if (gives_up_at < now - grace) each->die_of_running_fiber();
  }
}

}  // namespace weft::detail
