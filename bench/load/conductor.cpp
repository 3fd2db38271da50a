#include "conductor.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <new>
#include <optional>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "client.hpp"
#include "control.hpp"
#include "progress.hpp"

namespace weft::load {
namespace {

using namespace std::chrono_literals;

constexpr auto head_start = 2ms;   // between saying when to start and the start
constexpr int redraw_every = 500;  // milliseconds

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::system_category(), what);
}

class conductor {
public:
  explicit conductor(const options& settings) : settings_(settings), progress_(settings) {}

  conductor(const conductor&) = delete;
  conductor& operator=(const conductor&) = delete;

  ~conductor() {
    for (client& each : clients_) kill_and_reap(each);
    if (slots_ != nullptr) ::munmap(slots_, sizeof(shared_slot) * settings_.clients);
    if (signals_ >= 0) ::close(signals_);
  }

  run_result run() {
    share_memory();
    take_signals();
    clients_.reserve(settings_.clients);
    for (std::uint32_t i = 0; i < settings_.clients; ++i) start_client(i);
    while (running() && !abandoned_) step();
    progress_.clear();
    for (std::uint32_t i = 0; i < settings_.clients; ++i) result_.total.add(slots_[i].result);
    return std::move(result_);
  }

private:
  struct client {
    pid_t pid = -1;
    int control = -1;
    bool connected = false;
    bool ended = false;  // it has said its last word
  };

  void share_memory() {
    void* memory = ::mmap(nullptr, sizeof(shared_slot) * settings_.clients, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) fail("mmap");
    slots_ = static_cast<shared_slot*>(memory);
    for (std::uint32_t i = 0; i < settings_.clients; ++i) new (slots_ + i) shared_slot;
  }

  // Blocked in the clients too, so that Ctrl-C on a terminal reaches them through the parent alone.
  void take_signals() {
    sigset_t wanted;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGINT);
    sigaddset(&wanted, SIGTERM);
    if (::sigprocmask(SIG_BLOCK, &wanted, nullptr) != 0) fail("sigprocmask");
    signals_ = ::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals_ < 0) fail("signalfd");
  }

  void start_client(std::uint32_t index) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) fail("socketpair");
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) {
      const int reason = errno;
      ::close(ends[0]);
      ::close(ends[1]);
      errno = reason;
      fail("fork");
    }
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent) ::_exit(1);
      // Else a client would keep the others' channels open, and nobody noticed the parent's end.
      for (const client& other : clients_) ::close(other.control);
      ::close(ends[0]);
      ::close(signals_);
      ::_exit(run_client(settings_, share::of(settings_, index), ends[1], slots_[index]));
    }
    ::close(ends[1]);
    clients_.push_back({pid, ends[0]});
  }

  bool running() const {
    for (const client& each : clients_) {
      if (!each.ended) return true;
    }
    return false;
  }

  // Waits for one round of news.
  void step() {
    std::vector<pollfd> sources{{signals_, POLLIN, 0}};
    for (const client& each : clients_) {
      sources.push_back({each.ended ? -1 : each.control, POLLIN, 0});
    }
    const int n = ::poll(sources.data(), sources.size(), progress_.active() ? redraw_every : -1);
    if (n < 0 && errno != EINTR) fail("poll");
    if (n <= 0) return show_progress();
    if (sources[0].revents != 0) on_signal();
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      if (sources[i + 1].revents != 0) hear(clients_[i]);
    }
  }

  void on_signal() {
    signalfd_siginfo info;
    if (::read(signals_, &info, sizeof info) != static_cast<ssize_t>(sizeof info)) return;
    if (result_.stopped_by != 0) abandoned_ = true;  // asked twice: do not wait for the clients
    result_.stopped_by = static_cast<int>(info.ssi_signo);
    tell_all({parent_says::stop, {}});
  }

  void hear(client& from) {
    client_message message;
    const ssize_t n = ::recv(from.control, &message, sizeof message, 0);
    if (n < 0 && errno == EINTR) return;
    if (n != static_cast<ssize_t>(sizeof message)) return on_death(from);
    switch (message.what) {
    case client_says::connected: from.connected = true; return start_if_all_connected();
    case client_says::failed: from.ended = true; return refuse(message.text.data());
    case client_says::done: from.ended = true; return;
    }
  }

  void start_if_all_connected() {
    for (const client& each : clients_) {
      if (!each.connected) return;
    }
    result_.all_connected = true;
    if (settings_.mode == load_mode::idle) {
      progress_.clear();
      fmt::print(stderr, "holding {} connections\n", settings_.connections);
    }
    start_ = clock::now() + head_start;
    tell_all({parent_says::start, *start_});
  }

  void on_death(client& dead) {
    dead.ended = true;
    int status = 0;
    ::waitpid(dead.pid, &status, 0);
    const pid_t pid = std::exchange(dead.pid, -1);
    refuse(WIFSIGNALED(status)
               ? fmt::format("client process {} was killed by signal {}", pid, WTERMSIG(status))
               : fmt::format("client process {} ended with code {}", pid, WEXITSTATUS(status)));
  }

  // The first failure is the one to report; the others follow from it.
  void refuse(const std::string& why) {
    if (result_.failure.empty()) result_.failure = why;
    tell_all({parent_says::stop, {}});
  }

  void tell_all(const parent_message& message) {
    for (const client& each : clients_) {
      // One that cannot be told has died, which its channel says next.
      if (!each.ended) ::send(each.control, &message, sizeof message, MSG_NOSIGNAL);
    }
  }

  void show_progress() {
    std::uint64_t connections = 0;
    std::uint64_t messages = 0;
    for (std::uint32_t i = 0; i < settings_.clients; ++i) {
      connections += slots_[i].live_connections.load(std::memory_order_relaxed);
      messages += slots_[i].live_messages.load(std::memory_order_relaxed);
    }
    progress_.show(connections, messages, start_);
  }

  static void kill_and_reap(client& each) {
    if (each.pid > 0) {
      if (!each.ended) ::kill(each.pid, SIGKILL);
      ::waitpid(each.pid, nullptr, 0);
    }
    ::close(each.control);
  }

  const options& settings_;
  progress_line progress_;
  shared_slot* slots_ = nullptr;
  int signals_ = -1;
  std::vector<client> clients_;
  std::optional<time_point> start_;
  bool abandoned_ = false;
  run_result result_;
};

}  // namespace

run_result conduct(const options& settings) {
  try {
    return conductor(settings).run();
  } catch (const std::system_error& error) {
    run_result result;
    result.failure = error.what();
    return result;
  }
}

}  // namespace weft::load
