#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <mutex>
#include <sys/uio.h>
#include <unistd.h>
#include <utility>

#include <weft/fiber/diagnostics.hpp>

#include "process_mutex.hpp"

namespace weft {
namespace {

constinit detail::process_mutex sink_lock;  // this thread's only while it is in the sink
[[maybe_unused]] const bool forks_heed_sink_lock = sink_lock.list();
diagnostics_sink sink;

// Keeps SIGPIPE from the process while it exists: a reader of stderr that has gone is no reason to
// end. One that was pending before stays.
class no_sigpipe {
public:
  no_sigpipe() noexcept {
    ::sigemptyset(&pipe_);
    ::sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    was_pending_ = ::sigpending(&pending) == 0 && ::sigismember(&pending, SIGPIPE) == 1;
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }

  no_sigpipe(const no_sigpipe&) = delete;
  no_sigpipe& operator=(const no_sigpipe&) = delete;

  ~no_sigpipe() {
    const timespec at_once{};
    // Takes it back if there is one.
    if (!was_pending_) ::sigtimedwait(&pipe_, nullptr, &at_once);
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

private:
  sigset_t pipe_{};
  sigset_t before_{};
  bool was_pending_ = false;
};

void write_to_stderr(std::string_view line) noexcept {
  // In one write, so that lines of several processes do not mix; and not by stdio, which takes 8
  // KiB of what may be a fiber's stack.
  constexpr std::string_view prefix = "weft: ";
  constexpr std::string_view end = "\n";
  std::array<iovec, 3> parts{};
  for (std::size_t i = 0; const std::string_view part : {prefix, line, end}) {
    parts[i++] = {const_cast<char*>(part.data()), part.size()};
  }
  const no_sigpipe guard;
  while (::writev(STDERR_FILENO, parts.data(), parts.size()) < 0 && errno == EINTR) {
  }
}

// With the lock held.
bool is_written_by_sink(std::string_view line) noexcept {
  if (!sink) return false;
  try {
    sink(line);
    return true;
  } catch (...) {  // it had no memory, or is at fault: then the line is all the more needed
    return false;
  }
}

}  // namespace

diagnostics_sink set_diagnostics_sink(diagnostics_sink replacement) {
  if (sink_lock.is_mine()) {
    write_to_stderr("set_diagnostics_sink() was called by the sink");
    std::abort();
  }
  const std::lock_guard hold{sink_lock};
  return std::exchange(sink, std::move(replacement));
}

void diagnose(std::string_view line) noexcept {
  const int saved_errno = errno;
  if (sink_lock.is_mine()) {
    write_to_stderr(line);
  } else {
    const std::lock_guard hold{sink_lock};
    if (!is_written_by_sink(line)) write_to_stderr(line);
  }
  errno = saved_errno;
}

}  // namespace weft
