// Ctrl-C and SIGTERM as something to wait for, so that no wait misses them and every process that
// was started is ended on the way out.
//
// Threads: one object a process, made before other threads exist; its owner alone uses it.
#pragma once

#include <exception>

namespace weft::compare {

/// Thrown by a wait that a signal has ended.
class interrupted : public std::exception {
public:
  const char* what() const noexcept override { return "interrupted"; }
};

class interrupt {
public:
  /// Blocks SIGINT and SIGTERM from here on. Throws std::system_error.
  interrupt();
  interrupt(const interrupt&) = delete;
  interrupt& operator=(const interrupt&) = delete;
  ~interrupt();

  /// Returns a descriptor that is readable once a signal has come.
  int fd() const noexcept { return fd_; }

  /// Throws `interrupted` if a signal has come, now or before.
  void check();

  /// Returns the number of the signal that came, 0 while none has.
  int signal() const noexcept { return signal_; }

private:
  int fd_ = -1;
  int signal_ = 0;
};

/// Lets signals through again, in a child before it becomes another program.
void unblock_signals() noexcept;

}  // namespace weft::compare
