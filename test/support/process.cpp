#include "support/process.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <regex>
#include <stdexcept>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

namespace weft::test {
namespace {

[[noreturn]] void fail(const std::string& what, int code = errno) {
  throw std::system_error(code, std::system_category(), what);
}

struct pipe_ends {
  int read = -1;
  int write = -1;

  pipe_ends() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) fail("pipe2");
    read = ends[0];
    write = ends[1];
  }

  pipe_ends(const pipe_ends&) = delete;
  pipe_ends& operator=(const pipe_ends&) = delete;

  ~pipe_ends() {
    if (read >= 0) ::close(read);
    if (write >= 0) ::close(write);
  }

  void close_write() { ::close(std::exchange(write, -1)); }
};

// Runs in the child of a process that has other threads: only async-signal-safe calls.
[[noreturn]] void become(char* const* argv, pid_t parent, int out, int err, int failure) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // the parent died before prctl
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null >= 0 && ::dup2(null, STDIN_FILENO) >= 0 && ::dup2(out, STDOUT_FILENO) >= 0 &&
      ::dup2(err, STDERR_FILENO) >= 0) {
    ::execvp(argv[0], argv);
  }
  const int code = errno;
  if (::write(failure, &code, sizeof code) < 0) ::_exit(126);
  ::_exit(127);
}

}  // namespace

process::process(std::vector<std::string> argv) {
  if (argv.empty()) throw std::invalid_argument("weft::test::process: no program");
  name_ = argv[0];
  stop_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (stop_fd_ < 0) fail("eventfd");
  try {
    start(std::move(argv));
  } catch (...) {
    ::close(stop_fd_);
    throw;
  }
  reader_ = std::thread([this] { read_pipes(); });
}

void process::start(std::vector<std::string> argv) {
  std::vector<char*> pointers;
  for (std::string& argument : argv) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  pipe_ends out;
  pipe_ends err;
  pipe_ends failure;
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) fail("fork");
  if (child == 0) become(pointers.data(), parent, out.write, err.write, failure.write);
  out.close_write();
  err.close_write();
  failure.close_write();
  int code = 0;
  if (::read(failure.read, &code, sizeof code) > 0) {  // 0 once execvp has closed the other end
    ::waitpid(child, nullptr, 0);
    fail("cannot start " + name_, code);
  }
  pid_ = child;
  pid_fd_ = static_cast<int>(::syscall(SYS_pidfd_open, child, 0));
  if (pid_fd_ < 0) {
    const int reason = errno;
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    fail("pidfd_open", reason);
  }
  of(stream::out).fd = std::exchange(out.read, -1);
  of(stream::err).fd = std::exchange(err.read, -1);
}

process::~process() {
  if (!reaped_) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  const std::uint64_t one = 1;
  // A grandchild may still hold the pipes open; the write cannot fail on an eventfd that holds 0.
  [[maybe_unused]] const ssize_t written = ::write(stop_fd_, &one, sizeof one);
  reader_.join();
  for (channel& each : channels_) ::close(each.fd);
  ::close(pid_fd_);
  ::close(stop_fd_);
}

process_result process::run(std::vector<std::string> argv, std::chrono::seconds limit) {
  process program(std::move(argv));
  const int code = program.wait(limit);
  return {code, program.output(stream::out), program.output(stream::err)};
}

void process::read_pipes() {
  std::array<char, 65536> buffer;
  std::array<bool, 2> open{true, true};
  while (open[0] || open[1]) {
    pollfd wait[3] = {{open[0] ? channels_[0].fd : -1, POLLIN, 0},
                      {open[1] ? channels_[1].fd : -1, POLLIN, 0},
                      {stop_fd_, POLLIN, 0}};
    if (::poll(wait, 3, -1) < 0 && errno != EINTR) break;
    if (wait[2].revents != 0) break;
    for (std::size_t i = 0; i < 2; ++i) {
      if (wait[i].revents == 0) continue;
      const ssize_t n = ::read(channels_[i].fd, buffer.data(), buffer.size());
      if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      const std::lock_guard lock(mutex_);
      if (n > 0) {
        channels_[i].text.append(buffer.data(), static_cast<std::size_t>(n));
      } else {
        open[i] = false;
        channels_[i].ended = true;
      }
      changed_.notify_all();
    }
  }
  const std::lock_guard lock(mutex_);
  for (channel& each : channels_) each.ended = true;
  changed_.notify_all();
}

template <typename Match>
void process::wait_for(const std::string& what, stream from, std::chrono::seconds limit,
                       Match match) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  std::unique_lock lock(mutex_);
  channel& source = of(from);
  for (;;) {
    while (source.searched < source.text.size()) {
      const std::size_t end = source.text.find('\n', source.searched);
      if (end == std::string::npos && !source.ended) break;  // the rest of the line may come yet
      const std::string line = source.text.substr(source.searched, end - source.searched);
      source.searched = end == std::string::npos ? source.text.size() : end + 1;
      if (match(line)) return;
    }
    const bool ended = source.ended;
    if (ended || changed_.wait_until(lock, deadline) == std::cv_status::timeout) {
      throw std::runtime_error(name_ + (ended ? " ended its output" : " was silent too long") +
                               " without the line: " + what + everything());
    }
  }
}

std::string process::wait_for_line(std::string_view text, stream from, std::chrono::seconds limit) {
  std::string found;
  wait_for(std::string(text), from, limit, [&](const std::string& line) {
    if (line.find(text) == std::string::npos) return false;
    found = line;
    return true;
  });
  return found;
}

std::vector<std::string> process::wait_for_match(const std::string& pattern, stream from,
                                                 std::chrono::seconds limit) {
  const std::regex expression(pattern);
  std::vector<std::string> groups;
  wait_for(pattern, from, limit, [&](const std::string& line) {
    std::smatch match;
    if (!std::regex_search(line, match, expression)) return false;
    for (const auto& group : match) groups.push_back(group.str());
    return true;
  });
  return groups;
}

std::uint16_t process::wait_for_port() {
  const std::string port = wait_for_match("listening on .*:([0-9]+)")[1];
  return static_cast<std::uint16_t>(std::stoul(port));
}

void process::signal(int number) {
  if (reaped_) return;
  if (::kill(pid_, number) != 0) fail("kill");
}

bool process::reap(std::chrono::seconds limit) {
  pollfd end{pid_fd_, POLLIN, 0};
  const auto deadline = std::chrono::steady_clock::now() + limit;
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    const int ready = ::poll(&end, 1, left.count() > 0 ? static_cast<int>(left.count()) : 0);
    if (ready > 0) break;
    if (ready == 0) return false;
    if (errno != EINTR) fail("poll");
  }
  int status = 0;
  if (::waitpid(pid_, &status, 0) != pid_) fail("waitpid");
  reaped_ = true;
  exit_code_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return true;
}

int process::wait(std::chrono::seconds limit) {
  if (!reaped_ && !reap(limit)) {
    ::kill(pid_, SIGKILL);
    reap(watchdog);
    const std::lock_guard lock(mutex_);
    throw std::runtime_error(name_ + " did not end in time" + everything());
  }
  std::unique_lock lock(mutex_);
  const auto drained = [this] { return channels_[0].ended && channels_[1].ended; };
  if (!changed_.wait_for(lock, limit, drained)) {
    throw std::runtime_error(name_ + " ended but left its output open in a child" + everything());
  }
  return exit_code_;
}

std::string process::output(stream from) const {
  const std::lock_guard lock(mutex_);
  return of(from).text;
}

// The caller holds the mutex.
std::string process::everything() const {
  return "\n--- stdout\n" + of(stream::out).text + "\n--- stderr\n" + of(stream::err).text;
}

}  // namespace weft::test
