// What a worker does when no fiber is ready: it polls its driver.
//
// The scheduler knows no sockets; a poller for them, a plain sleep, or a fake of a test stands
// behind this interface, and nothing above it knows which. Threads: everything is called by the
// worker that owns the driver, except wake().
#pragma once

#include <chrono>

namespace weft {

class driver {
public:
  using clock = std::chrono::steady_clock;

  virtual ~driver() = default;

  /// Collects what has happened and makes the fibers ready that wait for it.
  ///
  /// Waits:  until something has happened, wake() is called or `deadline` has passed; not at all
  ///         for time_point::min(), without a limit for time_point::max(). May return early.
  virtual void poll(clock::time_point deadline) = 0;

  /// Ends a poll() that is under way, or the next one. From any thread and from a signal handler.
  virtual void wake() noexcept = 0;

  /// Whether some fiber waits for something that only poll() can report.
  virtual bool has_waiters() const noexcept = 0;

  /// Called in the child of a fork, before anything else: gives up what is shared with the parent.
  virtual void after_fork() = 0;
};

}  // namespace weft
