// Echo on Boost.Fiber at its best: a simple algorithm that waits in epoll, edge-triggered, and the
// rule that a short read has emptied the socket.
//
// One thread. A fiber parks until an event says that its socket may be read or written; all events
// of a wait are noted before a fiber runs, so that none of them meets a connection that has gone.
#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <malloc.h>
#include <sys/epoll.h>

#include <boost/fiber/algo/algorithm.hpp>
#include <boost/fiber/fiber.hpp>
#include <boost/fiber/fixedsize_stack.hpp>
#include <boost/fiber/operations.hpp>
#include <boost/fiber/scheduler.hpp>

#include "support/posix_server.hpp"

namespace {

namespace fibers = boost::fibers;

constexpr const char* program = "echo-boost-fiber";
constexpr std::size_t buffer_bytes = 8192;
constexpr std::size_t stack_bytes = std::size_t{64} * 1024;
constexpr int events_per_wait = 512;

// A descriptor and the fiber that waits for it.
struct watched {
  explicit watched(int number) : fd{number} {}

  watched(const watched&) = delete;
  watched& operator=(const watched&) = delete;

  ~watched() { ::close(fd); }

  const int fd;
  bool ready = false;              // an event has come that no call has used up since
  bool short_read_drains = false;  // by the last event: less than the buffer means empty
  fibers::context* waiter = nullptr;
};

// First come, first served; waits in epoll when nobody is ready.
class epoll_algorithm : public fibers::algo::algorithm {
public:
  explicit epoll_algorithm(int epoll) : epoll_{epoll} {}

  void awakened(fibers::context* context) noexcept override { context->ready_link(ready_); }

  fibers::context* pick_next() noexcept override {
    if (ready_.empty()) return nullptr;
    fibers::context* const next = &ready_.front();
    ready_.pop_front();
    return next;
  }

  bool has_ready_fibers() const noexcept override { return !ready_.empty(); }

  void suspend_until(const std::chrono::steady_clock::time_point& end) noexcept override {
    const int count = ::epoll_wait(epoll_, events_.data(), events_per_wait, milliseconds_to(end));
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events_[static_cast<std::size_t>(i)];
      watched& what = *static_cast<watched*>(event.data.ptr);
      what.ready = true;
      what.short_read_drains = (event.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI)) == 0;
      if (what.waiter != nullptr) fibers::context::active()->schedule(what.waiter);
      what.waiter = nullptr;
    }
  }

  void notify() noexcept override {}  // there is one thread, and it does not wake itself

private:
  static int milliseconds_to(std::chrono::steady_clock::time_point end) {
    using namespace std::chrono;
    if (end == steady_clock::time_point::max()) return -1;
    const auto left = ceil<milliseconds>(end - steady_clock::now()).count();
    return static_cast<int>(left < 0 ? 0 : (left > INT_MAX ? INT_MAX : left));
  }

  using queue = fibers::scheduler::ready_queue_type;

  const int epoll_;
  queue ready_;
  std::array<epoll_event, events_per_wait> events_;
};

// Parks until an event has come for `what`.
void wait_for(watched& what) {
  what.ready = false;
  what.waiter = fibers::context::active();
  what.waiter->suspend();
}

bool watch(int epoll, watched& what) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET;
  event.data.ptr = &what;
  return ::epoll_ctl(epoll, EPOLL_CTL_ADD, what.fd, &event) == 0;
}

ssize_t receive(watched& peer, char* buffer, std::size_t size) {
  for (;;) {
    if (!peer.ready) wait_for(peer);
    const ssize_t received = ::recv(peer.fd, buffer, size, 0);
    if (received > 0 && static_cast<std::size_t>(received) < size && peer.short_read_drains) {
      peer.ready = false;
    }
    if (received >= 0 || (errno != EAGAIN && errno != EINTR)) return received;
    if (errno == EAGAIN) peer.ready = false;
  }
}

bool send_all(watched& peer, const char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t sent = ::send(peer.fd, data, size, MSG_NOSIGNAL);
    if (sent >= 0) {
      data += sent;
      size -= static_cast<std::size_t>(sent);
    } else if (errno == EAGAIN) {
      wait_for(peer);
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

void echo(int epoll, int fd) {
  watched peer{fd};
  if (!watch(epoll, peer)) return;
  std::array<char, buffer_bytes> buffer;
  ssize_t received = 0;
  while ((received = receive(peer, buffer.data(), buffer.size())) > 0) {
    if (!send_all(peer, buffer.data(), static_cast<std::size_t>(received))) return;
  }
}

// Accepts until a signal stops the listener.
void serve(int epoll, watched& listener) {
  fibers::fixedsize_stack stacks{stack_bytes};
  while (!example::stop_requested()) {
    sockaddr_storage peer{};
    const int fd = example::accept_connection(listener.fd, SOCK_NONBLOCK, peer);
    if (fd >= 0) {
      fibers::fiber{fibers::launch::dispatch, std::allocator_arg, stacks, echo, epoll, fd}.detach();
    } else if (errno == EAGAIN) {
      wait_for(listener);
    } else if (example::is_out_of_resources(errno)) {
      example::report_out_of_resources(program, errno);
      boost::this_fiber::sleep_for(example::accept_backoff);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  example::server_options options;
  if (const auto code = example::parse_single_threaded_options(
          program, "TCP echo server with a fiber of Boost.Fiber for each connection", options, argc,
          argv)) {
    return *code;
  }
  example::prepare_server_process();
  ::mallopt(M_TRIM_THRESHOLD, INT_MAX);  // stacks come from malloc: do not give them back each time
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  const int listening = example::start_listening(program, options);
  if (listening < 0) return EXIT_FAILURE;
  watched listener{listening};
  if (epoll < 0 || !watch(epoll, listener)) {
    std::fprintf(stderr, "%s: cannot watch the listener: %s\n", program, std::strerror(errno));
    return EXIT_FAILURE;
  }
  fibers::use_scheduling_algorithm<epoll_algorithm>(epoll);
  serve(epoll, listener);
  std::fflush(stdout);
  std::_Exit(EXIT_SUCCESS);  // connections that are still open end with the process
}
