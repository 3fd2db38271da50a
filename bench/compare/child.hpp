// A program that is started for a sample: bound to cores, waited for, and never left behind.
//
// One of its two outputs is read line by line while it runs, the other one is kept in memory until
// somebody asks, so that the program never stalls on a full pipe.
//
// Threads: one owner, the only thread of this process: a child is killed when the thread that
// started it ends.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "cores.hpp"
#include "interrupt.hpp"

namespace weft::compare {

using steady = std::chrono::steady_clock;

class child {
public:
  /// Which output is read line by line.
  enum class lines_of { out, err };

  /// How a program ended.
  struct ending {
    bool killed = false;
    int code = 0;                    ///< the exit code, or the number of the signal
    std::chrono::nanoseconds cpu{};  ///< of the program and of those it has waited for

    /// Returns it in words: `ended with code 1`, `was killed by signal 9`.
    std::string text() const;
  };

  /// Starts the program `arguments[0]`, with stdin from /dev/null and in a process group of its
  /// own, so that Ctrl-C does not reach it. Throws std::system_error.
  child(const std::vector<std::string>& arguments, const core_set& cores, lines_of lines,
        interrupt& signals);
  child(const child&) = delete;
  child& operator=(const child&) = delete;

  /// Kills the program if it still runs.
  ~child();

  pid_t pid() const noexcept { return pid_; }

  /// Waits for a line that starts with `prefix`. Returns the rest of it; nothing when the program
  /// closed its output without it, or at `deadline`. Throws `interrupted`.
  std::optional<std::string> wait_for_line(std::string_view prefix, steady::time_point deadline);

  /// Waits for the end of the program. Returns nothing at `deadline`. Throws `interrupted`.
  std::optional<ending> wait(steady::time_point deadline);

  /// Returns how the program ended, if it has: does not wait.
  std::optional<ending> ended();

  /// Asks the program to end, and kills it at `deadline`. Throws `interrupted`.
  ending stop(steady::time_point deadline);

  /// Returns all that the program wrote to stdout, or to stderr, so far.
  std::string out() const;
  std::string err() const;

private:
  void start(const std::vector<std::string>& arguments, const core_set& cores);
  bool pump(steady::time_point deadline);
  void read_lines();
  void reap();
  void release() noexcept;
  std::string kept() const;

  interrupt& signals_;
  const lines_of lines_;
  pid_t pid_ = -1;
  int pid_fd_ = -1;
  int pipe_ = -1;  // read end of the output that is read line by line; -1 once it has ended
  int file_ = -1;  // the other output, in memory
  std::string text_;
  std::size_t searched_ = 0;  // wait_for_line goes on from here
  std::optional<ending> ending_;
};

}  // namespace weft::compare
