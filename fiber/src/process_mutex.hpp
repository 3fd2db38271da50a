// A lock of the whole process that the child of a fork(2) finds free: a fork waits until no other
// thread has it.
// Threads: any. Held for a few instructions, with no other lock taken under it and nothing of the
// program's called.
#pragma once

#include <mutex>

namespace weft::detail {

class process_mutex {
public:
  constexpr process_mutex() noexcept = default;
  process_mutex(const process_mutex&) = delete;
  process_mutex& operator=(const process_mutex&) = delete;

  // Once, when the program or the library starts: from then on forks heed it.
  bool list() noexcept;

  void lock() { mutex_.lock(); }

  void unlock() noexcept { mutex_.unlock(); }

  // Around a fork, by the thread that forks.
  static void hold_all_for_fork();
  static void release_all_after_fork() noexcept;

private:
  std::mutex mutex_;
  process_mutex* next_listed_ = nullptr;
};

}  // namespace weft::detail
