#include "child.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace weft::compare {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds longest_wait = 1h;  // fits the int of poll(2)

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::system_category(), what);
}

std::chrono::nanoseconds time_of(const timeval& time) {
  return std::chrono::seconds{time.tv_sec} + std::chrono::microseconds{time.tv_usec};
}

// Turns the forked process into the program; comes back only when that fails.
void become(char* const* arguments, const core_set& cores, pid_t parent, int out, int err) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) return;  // the parent died before prctl
  ::setpgid(0, 0);
  unblock_signals();
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null < 0 || ::dup2(null, STDIN_FILENO) < 0 || ::dup2(out, STDOUT_FILENO) < 0 ||
      ::dup2(err, STDERR_FILENO) < 0) {
    return;
  }
  if (!bind_to(cores)) {
    std::fprintf(stderr, "cannot bind %s to its cores: %s\n", arguments[0], std::strerror(errno));
    return;
  }
  ::execv(arguments[0], arguments);
  std::fprintf(stderr, "cannot start %s: %s\n", arguments[0], std::strerror(errno));
}

}  // namespace

std::string child::ending::text() const {
  return (killed ? "was killed by signal " : "ended with code ") + std::to_string(code);
}

child::child(const std::vector<std::string>& arguments, const core_set& cores, lines_of lines,
             interrupt& signals)
    : signals_{signals}, lines_{lines} {
  try {
    start(arguments, cores);
  } catch (...) {
    release();
    throw;
  }
}

void child::start(const std::vector<std::string>& arguments, const core_set& cores) {
  std::vector<char*> pointers;
  for (const std::string& each : arguments) pointers.push_back(const_cast<char*>(each.c_str()));
  pointers.push_back(nullptr);
  file_ = ::memfd_create("output", MFD_CLOEXEC);
  if (file_ < 0) fail("memfd_create");
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) fail("pipe2");
  pipe_ = ends[0];
  ::fcntl(pipe_, F_SETFL, O_NONBLOCK);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) {
    const bool piped_out = lines_ == lines_of::out;
    become(pointers.data(), cores, parent, piped_out ? ends[1] : file_,
           piped_out ? file_ : ends[1]);
    ::_exit(127);
  }
  const int reason = errno;
  ::close(ends[1]);
  errno = reason;
  if (pid_ < 0) fail("fork");
  pid_fd_ = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
  if (pid_fd_ < 0) fail("pidfd_open");
}

child::~child() { release(); }

void child::release() noexcept {
  if (pid_ > 0 && !ending_) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  for (const int fd : {pid_fd_, pipe_, file_}) {
    if (fd >= 0) ::close(fd);
  }
}

// Waits for news: output, the end, a signal for us. Returns false at `deadline`.
bool child::pump(steady::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - steady::now());
  const int timeout = static_cast<int>(std::clamp(left, 0ms, longest_wait).count());
  std::array<pollfd, 3> sources{
      {{signals_.fd(), POLLIN, 0}, {pipe_, POLLIN, 0}, {ending_ ? -1 : pid_fd_, POLLIN, 0}}};
  const int ready = ::poll(sources.data(), sources.size(), timeout);
  if (ready < 0 && errno != EINTR) fail("poll");
  if (sources[0].revents != 0) signals_.check();
  if (ready > 0 && sources[1].revents != 0) read_lines();
  if (ready > 0 && sources[2].revents != 0) reap();
  return ready != 0 || steady::now() < deadline;
}

void child::read_lines() {
  std::array<char, 4096> buffer;
  ssize_t size = 0;
  while ((size = ::read(pipe_, buffer.data(), buffer.size())) > 0) {
    text_.append(buffer.data(), static_cast<std::size_t>(size));
  }
  if (size == 0 || (errno != EAGAIN && errno != EINTR)) ::close(std::exchange(pipe_, -1));
}

void child::reap() {
  int status = 0;
  rusage usage{};
  if (::wait4(pid_, &status, 0, &usage) != pid_) fail("wait4");
  const bool killed = WIFSIGNALED(status);
  ending_ = ending{killed, killed ? WTERMSIG(status) : WEXITSTATUS(status),
                   time_of(usage.ru_utime) + time_of(usage.ru_stime)};
}

std::optional<std::string> child::wait_for_line(std::string_view prefix,
                                                steady::time_point deadline) {
  for (;;) {
    for (std::size_t end = 0; (end = text_.find('\n', searched_)) != std::string::npos;) {
      const std::string line = text_.substr(searched_, end - searched_);
      searched_ = end + 1;
      if (line.starts_with(prefix)) return line.substr(prefix.size());
    }
    if (pipe_ < 0 || !pump(deadline)) return std::nullopt;
  }
}

std::optional<child::ending> child::wait(steady::time_point deadline) {
  while (!ending_) {
    if (!pump(deadline)) return std::nullopt;
  }
  if (pipe_ >= 0) read_lines();  // what it wrote last
  return ending_;
}

std::optional<child::ending> child::ended() { return wait(steady::now()); }

child::ending child::stop(steady::time_point deadline) {
  if (!ending_) ::kill(pid_, SIGTERM);
  if (const auto end = wait(deadline)) return *end;
  ::kill(pid_, SIGKILL);
  for (;;) {
    if (const auto end = wait(steady::now() + std::chrono::seconds{1})) return *end;
  }
}

// Returns the output that is kept in memory.
std::string child::kept() const {
  std::string text;
  std::array<char, 4096> buffer;
  ssize_t size = 0;
  while ((size = ::pread(file_, buffer.data(), buffer.size(), static_cast<off_t>(text.size()))) >
         0) {
    text.append(buffer.data(), static_cast<std::size_t>(size));
  }
  return text;
}

std::string child::out() const { return lines_ == lines_of::out ? text_ : kept(); }

std::string child::err() const { return lines_ == lines_of::err ? text_ : kept(); }

}  // namespace weft::compare
