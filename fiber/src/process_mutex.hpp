// A lock of the whole process that the child of a fork(2) finds as its own thread held it: a fork
// waits until no other thread has it.
// Threads: any. Held for a few instructions or one line, and never across a wait of a fiber.
#pragma once

#include <atomic>
#include <mutex>

namespace weft::detail {

class process_mutex {
public:
  constexpr process_mutex() noexcept = default;
  process_mutex(const process_mutex&) = delete;
  process_mutex& operator=(const process_mutex&) = delete;

  // Once, when the program or the library starts: from then on forks heed it.
  bool list() noexcept;

  void lock();
  void unlock() noexcept;

  // Whether this thread has it.
  bool is_mine() const noexcept;

  // Around a fork, by the thread that forks.
  static void hold_all_for_fork() noexcept;
  static void release_all_after_fork() noexcept;

private:
  std::mutex mutex_;
  // The address of something that each thread has one of. Relaxed: each thread only looks for what
  // it has written itself.
  std::atomic<const void*> holder_{nullptr};
  bool was_mine_ = false;  // before the fork
  process_mutex* next_listed_ = nullptr;
};

}  // namespace weft::detail
