// What becomes of runtimes in the child of a fork(2). Used by the libraries above fiber/; not for
// users.
//
// What is made once, on first use, must not be a local static: its guard is a lock, and in the
// child nobody opens one that another thread held at the fork.
// Threads: any.
#pragma once

namespace weft::detail {

// What a library does about a fork. In the child its function comes before driver::after_fork().
struct fork_hook {
  void (*before)() noexcept;
  void (*in_parent)() noexcept;
  void (*in_child)() noexcept;
  bool is_listed = false;
  fork_hook* next = nullptr;
};

// From now on the child of a fork has a runtime that it can use, if that of a fiber or of a thread
// that runs none. Again is nothing. False when there is no memory.
bool heed_forks() noexcept;

// The same with a hook, for good. Again is nothing.
bool heed_forks(fork_hook& hook) noexcept;

}  // namespace weft::detail
