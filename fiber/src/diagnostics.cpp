#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <mutex>
#include <new>
#include <poll.h>
#include <string>
#include <sys/uio.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include <weft/fiber/diagnostics.hpp>

#include "last_words.hpp"
#include "process_mutex.hpp"

namespace weft {
namespace {

// A plain thread lock, held while the sink is called, and never across a wait of a fiber. A fork
// does not wait for it, as a sink may take its time: its child makes it anew.
std::mutex sink_lock;
diagnostics_sink sink;  // written with both locks held, read with one
constinit detail::process_mutex sink_change_lock;
[[maybe_unused]] const bool forks_heed_sink_change_lock = sink_change_lock.list();

// Whether this thread is in the sink: it has the lock then.
constinit thread_local bool in_sink = false;

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
  in_sink = true;
  bool is_written = false;
  try {
    sink(line);
    is_written = true;
  } catch (...) {  // it had no memory, or is at fault: then the line is all the more needed
  }
  in_sink = false;
  return is_written;
}

// Only where it can be done at once: a pipe may be full, and nobody read it.
[[maybe_unused]] void write_to_stderr_if_ready(std::string_view line) noexcept {
  pollfd ready{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
  if (::poll(&ready, 1, 0) == 1) write_to_stderr(line.substr(0, 4'000));  // less than PIPE_BUF
}

// Whether the last words have been said. The store pairs with the load: no line comes twice.
std::atomic<bool> last_words_are_said{false};

// Ends the process in two seconds, if the sink has not returned by then.
void end_soon([[maybe_unused]] std::string_view line) noexcept {
#ifndef WEFT_MODEL_CHECK
  try {
    std::thread{[copy = std::string(line)] {
      std::this_thread::sleep_for(std::chrono::seconds(2));
      if (last_words_are_said.load(std::memory_order_acquire)) return;
      write_to_stderr_if_ready(copy);
      std::abort();
    }}.detach();
  } catch (const std::exception&) {  // no thread to be had, or no memory: the sink may be well
  }
#endif
}

}  // namespace

diagnostics_sink set_diagnostics_sink(diagnostics_sink replacement) {
  if (in_sink) {
    write_to_stderr("set_diagnostics_sink() was called by the sink");
    std::abort();
  }
  const std::lock_guard hold{sink_lock};
  const std::lock_guard hold_change{sink_change_lock};
  return std::exchange(sink, std::move(replacement));
}

void diagnose(std::string_view line) noexcept {
  const int saved_errno = errno;
  if (in_sink) {
    write_to_stderr(line);
  } else {
    const std::lock_guard hold{sink_lock};
    if (!is_written_by_sink(line)) write_to_stderr(line);
  }
  errno = saved_errno;
}

void detail::end_process(std::string_view line) noexcept {
  end_soon(line);
  diagnose(line);
  last_words_are_said.store(true, std::memory_order_release);
  std::abort();
}

void detail::forget_others_in_sink() noexcept {
  if (!in_sink) ::new (&sink_lock) std::mutex;
}

}  // namespace weft
