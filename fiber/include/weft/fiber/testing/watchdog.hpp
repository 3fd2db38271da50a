// Ends a test that hangs: writes its name and all fibers of the process to stderr, and aborts.
//
// By SIGALRM and alarm(2), not by a thread, so that a process with one thread stays one and can
// fork. Threads: one watchdog at a time in a process.
#pragma once

#include <chrono>
#include <csignal>
#include <string_view>

namespace weft::testing {

class watchdog {
public:
  /// Barks after `limit`, at least 1 s, unless it is destroyed before.
  watchdog(std::string_view test_name, std::chrono::seconds limit) noexcept;
  watchdog(const watchdog&) = delete;
  watchdog& operator=(const watchdog&) = delete;
  ~watchdog();

private:
  struct sigaction former_;
};

}  // namespace weft::testing
