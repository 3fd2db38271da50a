// Echo as a hand-written state machine on epoll: the style that fibers replace, and the limit of
// what raw epoll can do.
//
// Under load an echo costs two system calls, recv and send, and a small share of an epoll_wait:
// each socket is registered once, edge-triggered, for everything; one buffer serves all of them;
// and a read that came back short is known to have emptied the socket where that is certain.
// Connections are accepted until EAGAIN, as epoll(7) teaches.
// --workers N runs N such loops; the first one accepts and hands the connections out in turn.
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <sys/epoll.h>
#include <thread>
#include <vector>

#include "../support/posix_server.hpp"

namespace {

using clock_type = std::chrono::steady_clock;

constexpr const char* program = "echo-callbacks";
constexpr std::size_t buffer_bytes = 8192;
constexpr int events_per_wait = 512;   // 6 KiB of events, enough to make the waits rare
constexpr int accepts_per_turn = 64;   // so that a flood of connections cannot starve the open ones
constexpr int receives_per_turn = 64;  // nor one peer that sends without end all the others
constexpr int drain_check_ms = 20;     // how often the end looks whether all connections are gone

// Counts connections of all loops; the loop that accepts adds, the one that serves subtracts.
std::atomic<std::size_t> open_connections{0};

// What the kernel did not take yet of one message; exists only while a send is partial.
struct out_buffer {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::array<char, buffer_bytes> data;
};

// What is known of one connection; all zero before its first event.
struct connection {
  std::unique_ptr<out_buffer> out;
  bool readable = false;           // an event announced input that no recv has emptied since
  bool short_read_drains = false;  // by the last event: less than the buffer means empty
  bool queued = false;             // stands in the list of those that had their share of a turn
};

class event_loop {
public:
  explicit event_loop(bool quiet) : quiet_{quiet} {}

  bool open() { return (epoll_ = ::epoll_create1(EPOLL_CLOEXEC)) >= 0; }

  // Watches `fd` for all it will ever be watched for. Any thread may call it.
  bool watch(int fd) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET;
    event.data.fd = fd;
    return ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0;
  }

  // Waits for events, `timeout_ms` at most (-1 for ever), and serves them. Returns whether
  // `listener` was among them.
  bool turn(int timeout_ms, int listener) {
    bool acceptable = false;
    const int count =
        ::epoll_wait(epoll_, events_.data(), events_per_wait, unfinished_.empty() ? timeout_ms : 0);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events_[static_cast<std::size_t>(i)];
      if (event.data.fd == listener) {
        acceptable = true;
      } else {
        on_event(event.data.fd, event.events);
      }
    }
    serve_unfinished();
    return acceptable;
  }

private:
  // A connection is closed by its own events alone, so that no event of a batch can meet another
  // connection that got the same descriptor.
  void on_event(int fd, std::uint32_t events) {
    const auto index = static_cast<std::size_t>(fd);
    if (index >= connections_.size()) connections_.resize(index + 1);
    connection& peer = connections_[index];
    if ((events & ~std::uint32_t{EPOLLOUT}) != 0) peer.readable = true;
    // Out-of-band data ends a read early, and after a FIN no further edge would come.
    peer.short_read_drains = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI)) == 0;
    const bool may_send = (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0;
    if (peer.out && may_send && !flush(fd, peer)) return close_connection(fd);
    echo(fd, peer);
  }

  // Sends back what there is to read, until that is all or the peer does not take any more.
  void echo(int fd, connection& peer) {
    for (int turns = 0; peer.readable && !peer.out; ++turns) {
      if (turns == receives_per_turn) return queue_unfinished(fd, peer);
      const ssize_t received = ::recv(fd, buffer_.data(), buffer_.size(), 0);
      if (received > 0) {
        const auto size = static_cast<std::size_t>(received);
        if (size < buffer_.size() && peer.short_read_drains) peer.readable = false;
        if (!send_or_keep(fd, peer, size)) return close_connection(fd);
      } else if (received < 0 && errno == EAGAIN) {
        peer.readable = false;
      } else if (received == 0 || errno != EINTR) {
        return close_connection(fd);
      }
    }
  }

  // Sends `size` bytes of the common buffer and keeps what the kernel refuses. Returns false when
  // the connection is lost.
  bool send_or_keep(int fd, connection& peer, std::size_t size) {
    ssize_t sent = ::send(fd, buffer_.data(), size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return false;
    const std::size_t taken = sent < 0 ? 0 : static_cast<std::size_t>(sent);
    if (taken == size) return true;
    peer.out.reset(new (std::nothrow) out_buffer);
    if (!peer.out) return false;
    peer.out->end = size - taken;
    std::memcpy(peer.out->data.data(), buffer_.data() + taken, size - taken);
    return flush(fd, peer);  // so that an interrupted send needs no event that may never come
  }

  // Sends the kept bytes, as many as the kernel takes, and drops the buffer once it is empty.
  // Returns false when the connection is lost.
  static bool flush(int fd, connection& peer) {
    out_buffer& out = *peer.out;
    while (out.begin < out.end) {
      const ssize_t sent =
          ::send(fd, out.data.data() + out.begin, out.end - out.begin, MSG_NOSIGNAL);
      if (sent >= 0) {
        out.begin += static_cast<std::size_t>(sent);
      } else if (errno == EAGAIN) {
        return true;
      } else if (errno != EINTR) {
        return false;
      }
    }
    peer.out.reset();
    return true;
  }

  void queue_unfinished(int fd, connection& peer) {
    if (!peer.queued) unfinished_.push_back(fd);
    peer.queued = true;
  }

  void serve_unfinished() {
    std::vector<int> now;
    now.swap(unfinished_);
    for (const int fd : now) {
      connection& peer = connections_[static_cast<std::size_t>(fd)];
      peer.queued = false;
      echo(fd, peer);  // does nothing if the connection has been closed since
    }
  }

  void close_connection(int fd) {
    connections_[static_cast<std::size_t>(fd)] = {};
    ::close(fd);
    if (!quiet_) std::puts("Connection closed");
    open_connections.fetch_sub(1);
  }

  const bool quiet_;
  int epoll_ = -1;
  std::vector<connection> connections_;  // by descriptor
  std::vector<int> unfinished_;
  std::array<epoll_event, events_per_wait> events_;
  std::array<char, buffer_bytes> buffer_;
};

// Accepts in the first loop and gives the connections to all loops in turn.
class acceptor {
public:
  acceptor(int listener, bool quiet, std::vector<std::unique_ptr<event_loop>>& loops)
      : listener_{listener}, quiet_{quiet}, loops_{loops} {}

  void on_readable() { ready_ = true; }

  // How long the loop may wait for events, in the form of epoll_wait(2).
  int timeout_ms() const {
    if (!ready_) return -1;
    return starved_ ? static_cast<int>(example::accept_backoff.count()) : 0;
  }

  // No further edge announces the connections that are queued already: goes on while they may be
  // there, with a pause after descriptors have run out.
  void accept_some() {
    if (!ready_ || (starved_ && clock_type::now() < retry_)) return;
    starved_ = false;
    for (int i = 0; i < accepts_per_turn && ready_ && !starved_; ++i) accept_one();
  }

private:
  void accept_one() {
    sockaddr_storage peer{};
    const int fd = example::accept_connection(listener_, SOCK_NONBLOCK, peer);
    if (fd >= 0) return hand_out(fd, peer);
    if (example::is_out_of_resources(errno)) {
      example::report_out_of_resources(program, errno);
      starved_ = true;
      retry_ = clock_type::now() + example::accept_backoff;
    } else if (errno == EAGAIN || errno == EINVAL) {
      ready_ = false;  // EINVAL: a signal has shut the listener
    }
  }

  void hand_out(int fd, const sockaddr_storage& peer) {
    if (!quiet_) std::printf("Connection from: %s\n", example::address_text(peer).c_str());
    open_connections.fetch_add(1);
    if (loops_[next_]->watch(fd)) {
      next_ = (next_ + 1) % loops_.size();
      return;
    }
    std::fprintf(stderr, "%s: cannot watch a connection, it is closed: %s\n", program,
                 std::strerror(errno));
    ::close(fd);
    open_connections.fetch_sub(1);
  }

  const int listener_;
  const bool quiet_;
  std::vector<std::unique_ptr<event_loop>>& loops_;
  std::size_t next_ = 0;
  bool ready_ = false;
  bool starved_ = false;
  clock_type::time_point retry_;
};

// Runs `loop` on a thread of its own, without end. Says why and returns false if none is to be had.
bool start_thread(event_loop& loop) {
  [[maybe_unused]] const example::without_stop_signals hold;
  try {
    std::thread{[&loop] {
      for (;;) loop.turn(-1, -1);
    }}.detach();
    return true;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: cannot start a worker: %s\n", program,
                 example::with_limit(error).c_str());
    return false;
  }
}

void run_until_stopped(event_loop& loop, acceptor& accepting, int listener) {
  while (!example::stop_requested()) {
    if (loop.turn(accepting.timeout_ms(), listener)) accepting.on_readable();
    accepting.accept_some();
  }
  const clock_type::time_point end = clock_type::now() + example::drain_time;
  while (open_connections.load() > 0 && clock_type::now() < end) {
    loop.turn(drain_check_ms, listener);
  }
}

}  // namespace

int main(int argc, char** argv) {
  example::server_options options;
  if (const auto code = example::parse_server_options(
          program, "TCP echo server as a state machine on epoll",
          "loops, each in a thread of its own", options, argc, argv)) {
    return *code;
  }
  example::prepare_server_process();
  std::vector<std::unique_ptr<event_loop>> loops;
  for (unsigned i = 0; i < options.workers; ++i) {
    loops.push_back(std::make_unique<event_loop>(options.quiet));
    if (!loops.back()->open()) {
      std::fprintf(stderr, "%s: cannot open an epoll: %s\n", program,
                   example::reason_of(errno).c_str());
      return EXIT_FAILURE;
    }
  }
  const int listener = example::start_listening(program, options);
  if (listener < 0) return EXIT_FAILURE;
  if (!loops.front()->watch(listener)) {
    std::fprintf(stderr, "%s: cannot watch the listener: %s\n", program, std::strerror(errno));
    return EXIT_FAILURE;
  }

  for (unsigned i = 1; i < options.workers; ++i) {
    if (!start_thread(*loops[i])) {
      std::fflush(stdout);
      std::_Exit(EXIT_FAILURE);  // with the loops that are running
    }
  }
  acceptor accepting{listener, options.quiet, loops};
  run_until_stopped(*loops.front(), accepting, listener);
  std::fflush(stdout);
  std::_Exit(EXIT_SUCCESS);  // the other loops are still running and must not see theirs destroyed
}
