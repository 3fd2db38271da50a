// A program started by a test: its output is collected as lines, and it never outlives the test.
//
// Threads: one thread owns a `process`; a private thread reads its pipes, so that a program that
// prints a lot never stalls while the test does something else. The program is also killed when the
// thread that started it ends: start it on a thread that lives as long as the test.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <thread>
#include <vector>

namespace weft::test {

/// Which output of a program.
enum class stream { out, err };

/// What a program left behind.
struct process_result {
  int exit_code = 0;  ///< as a shell has it: 128 + N for a program killed by signal N
  std::string out;
  std::string err;
};

class process {
public:
  /// Long enough for a loaded machine: it ends a test that hangs, it measures nothing.
  static constexpr std::chrono::seconds watchdog{60};

  /// Starts `argv` (looked up in PATH when it has no slash) with stdin from /dev/null.
  ///
  /// Errors: throws std::system_error when it cannot be started, for example ENOENT.
  explicit process(std::vector<std::string> argv);

  process(const process&) = delete;
  process& operator=(const process&) = delete;

  /// Kills the program with SIGKILL if it still runs, and reaps it.
  ~process();

  /// Runs `argv` to its end.
  static process_result run(std::vector<std::string> argv, std::chrono::seconds limit = watchdog);

  pid_t pid() const noexcept { return pid_; }

  /// Waits for a line of `from` that contains `text`, and returns it without its line end. Each
  /// call looks on behind the line that the last one returned for that stream.
  ///
  /// Errors: throws std::runtime_error with all that was printed so far, when `limit` has passed or
  /// the stream has ended without such a line.
  std::string wait_for_line(std::string_view text, stream from = stream::out,
                            std::chrono::seconds limit = watchdog);

  /// The same for a line in which the ECMAScript regular expression `pattern` is found. Returns the
  /// match and then its groups.
  std::vector<std::string> wait_for_match(const std::string& pattern, stream from = stream::out,
                                          std::chrono::seconds limit = watchdog);

  /// Waits for the line `listening on HOST:PORT` that every server of weft prints; returns the
  /// port.
  std::uint16_t wait_for_port();

  /// Sends `number` to the program; does nothing once it has been reaped.
  void signal(int number);

  /// Waits for the program to end and for its pipes to be drained. Returns its exit code, 128 + N
  /// when it was killed by signal N; again the same when called again.
  ///
  /// Errors: throws std::runtime_error after `limit`; the program is killed by then.
  int wait(std::chrono::seconds limit = watchdog);

  /// Returns all that was printed to `from` so far; complete after wait().
  std::string output(stream from) const;

private:
  struct channel {
    int fd = -1;
    std::string text;          // all that came, raw
    std::size_t searched = 0;  // wait_for_* goes on from this offset of `text`
    bool ended = false;
  };

  template <typename Match>
  void wait_for(const std::string& what, stream from, std::chrono::seconds limit, Match match);
  void start(std::vector<std::string> argv);
  void read_pipes();
  bool reap(std::chrono::seconds limit);
  std::string everything() const;

  channel& of(stream which) { return channels_[which == stream::out ? 0 : 1]; }

  const channel& of(stream which) const { return channels_[which == stream::out ? 0 : 1]; }

  std::string name_;
  pid_t pid_ = -1;
  int pid_fd_ = -1;
  int stop_fd_ = -1;  // eventfd: written when the reader has to end although a pipe is still open
  bool reaped_ = false;
  int exit_code_ = 0;
  mutable std::mutex mutex_;  // guards `channels_` between the owner and the reader
  std::condition_variable changed_;
  channel channels_[2];
  std::thread reader_;
};

}  // namespace weft::test
