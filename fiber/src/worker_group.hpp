// The workers of one runtime, which start and end together: worker 0 on the thread that calls
// run(), each other one on a thread of its own.
//
// Threads: as said at each function.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include <weft/fiber/detail/wait.hpp>
#include <weft/fiber/runtime.hpp>

#include "scheduler.hpp"

namespace weft::detail {

struct registry;

class worker_group {
public:
  explicit worker_group(const runtime_options& options);
  worker_group(const worker_group&) = delete;
  worker_group& operator=(const worker_group&) = delete;
  ~worker_group() = default;

  std::uint64_t number() const noexcept { return number_; }

  std::size_t size() const noexcept { return workers_.size(); }

  scheduler& at(std::size_t index) const noexcept { return *workers_[index]; }

  // The one with the fewest fibers, those on their way to it included. Any thread.
  scheduler& least_loaded() const noexcept;

  // Runs `main_task` on worker 0 and the others beside it; returns when all have ended.
  // Errors: std::system_error when a thread cannot be had, before anything has run.
  void run(task_base& main_task);

  // Has all workers end their fibers: the main function has returned. Any worker; again is nothing.
  void begin_to_end() noexcept;
  // Called by each worker when its fibers have ended; waits until all have, for until then fibers
  // of others may need its poller. Ends the process when one has a fiber that never lets go.
  void end_together();
  // A worker has fibers to end: a thread sees to it that the process ends when one never lets go,
  // even if each worker has such a one. Any worker; again is nothing, and so it is without a thread
  // to be had.
  void watch_the_end() noexcept;

  // Whether run() is under way. Any thread.
  bool runs() const noexcept { return runs_.load(std::memory_order_relaxed); }

  // In the child of a fork in a fiber of `mine`: the other workers are not there.
  void keep_alone(scheduler& mine) noexcept;

private:
  friend struct registry;  // tells a debugger where the members are

  void watch() noexcept;
  void await_the_end();
  void end_if_one_is_stuck();
  void run_all(task_base& main_task);
  void join_threads();
  void run_beside(std::size_t index);

  const std::uint64_t number_;
  std::vector<std::unique_ptr<scheduler>> workers_;
  std::atomic<bool> runs_{false};
  // Guarded by the locks of the queues after them.
  bool ending_ = false;
  bool watched_ = false;
  deadline_clock::time_point began_to_end_;
  wait_queue until_ending_;
  std::size_t unended_ = 0;
  wait_queue until_all_ended_;
  std::vector<std::thread> threads_;  // of the workers but the first, while they run
  std::thread watchman_;              // of the end; made by the worker that has set `watched_`
};

}  // namespace weft::detail
