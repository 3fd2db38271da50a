// Echo as a state machine on raw epoll, the limit of what is possible: each socket is registered
// once, edge-triggered, for everything; one buffer serves all; and a read that came back short is
// known to have emptied the socket where that is certain.
//
// One thread. A connection is closed by its own events alone, so that no event of a wait meets
// another connection that got the same descriptor.
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <sys/epoll.h>
#include <vector>

#include "support/posix_server.hpp"

namespace {

constexpr const char* program = "compare-callbacks";
constexpr std::size_t buffer_bytes = 8192;
constexpr int events_per_wait = 512;
constexpr int accepts_per_turn = 64;  // so that a flood of connections cannot starve the open ones

// What the kernel did not take yet of one message.
struct out_buffer {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::array<char, buffer_bytes> data;
};

struct connection {
  std::unique_ptr<out_buffer> out;  // while a send is partial
  bool readable = false;            // an event announced input that no recv has emptied since
  bool short_read_drains = false;   // by the last event: less than the buffer means empty
};

class event_loop {
public:
  event_loop(int epoll, int listener) : epoll_{epoll}, listener_{listener} {}

  bool watch(int fd) const {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET;
    event.data.fd = fd;
    return ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0;
  }

  void turn() {
    const int timeout =
        starved_ ? static_cast<int>(example::accept_backoff.count()) : (acceptable_ ? 0 : -1);
    const int count = ::epoll_wait(epoll_, events_.data(), events_per_wait, timeout);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events_[static_cast<std::size_t>(i)];
      if (event.data.fd == listener_) {
        acceptable_ = true;
      } else {
        on_event(event.data.fd, event.events);
      }
    }
    starved_ = false;
    for (int i = 0; i < accepts_per_turn && acceptable_ && !starved_; ++i) accept();
  }

private:
  void on_event(int fd, std::uint32_t events) {
    const auto index = static_cast<std::size_t>(fd);
    if (index >= connections_.size()) connections_.resize(index + 1);
    connection& peer = connections_[index];
    if ((events & ~std::uint32_t{EPOLLOUT}) != 0) peer.readable = true;
    // Out-of-band data ends a read early, and after a FIN no further edge would come.
    peer.short_read_drains = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI)) == 0;
    const bool may_send = (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0;
    if ((peer.out && may_send && !flush(fd, peer)) || !echo(fd, peer)) {
      peer = {};
      ::close(fd);
    }
  }

  // Sends back what there is to read, until that is all or the peer does not take any more. Returns
  // false when the connection has ended.
  bool echo(int fd, connection& peer) {
    while (peer.readable && !peer.out) {
      const ssize_t received = ::recv(fd, buffer_.data(), buffer_.size(), 0);
      if (received > 0) {
        const auto size = static_cast<std::size_t>(received);
        if (size < buffer_.size() && peer.short_read_drains) peer.readable = false;
        if (!send_or_keep(fd, peer, size)) return false;
      } else if (received < 0 && errno == EAGAIN) {
        peer.readable = false;
      } else if (received == 0 || errno != EINTR) {
        return false;
      }
    }
    return true;
  }

  // Sends `size` bytes of the common buffer and keeps what the kernel refuses.
  bool send_or_keep(int fd, connection& peer, std::size_t size) {
    const ssize_t sent = ::send(fd, buffer_.data(), size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return false;
    const std::size_t taken = sent < 0 ? 0 : static_cast<std::size_t>(sent);
    if (taken == size) return true;
    peer.out = std::make_unique<out_buffer>();
    peer.out->end = size - taken;
    std::memcpy(peer.out->data.data(), buffer_.data() + taken, size - taken);
    return flush(fd, peer);  // so that an interrupted send needs no event that may never come
  }

  // Sends the kept bytes, as many as the kernel takes.
  static bool flush(int fd, connection& peer) {
    out_buffer& out = *peer.out;
    while (out.begin < out.end) {
      const char* const rest = out.data.data() + out.begin;
      const ssize_t sent = ::send(fd, rest, out.end - out.begin, MSG_NOSIGNAL);
      if (sent >= 0) {
        out.begin += static_cast<std::size_t>(sent);
      } else if (errno != EINTR) {
        return errno == EAGAIN;
      }
    }
    peer.out.reset();
    return true;
  }

  void accept() {
    sockaddr_storage peer{};
    const int fd = example::accept_connection(listener_, SOCK_NONBLOCK, peer);
    if (fd >= 0) {
      if (!watch(fd)) ::close(fd);
    } else if (example::is_out_of_resources(errno)) {
      example::report_out_of_resources(program, errno);
      starved_ = true;
    } else if (errno == EAGAIN || errno == EINVAL) {
      acceptable_ = false;  // EINVAL: a signal has shut the listener
    }
  }

  const int epoll_;
  const int listener_;
  bool acceptable_ = false;
  bool starved_ = false;  // the last accept found no descriptor; tried again in the next turn
  std::vector<connection> connections_;  // by descriptor
  std::array<epoll_event, events_per_wait> events_;
  std::array<char, buffer_bytes> buffer_;
};

}  // namespace

int main(int argc, char** argv) {
  example::server_options options;
  if (const auto code = example::parse_single_threaded_options(
          program, "TCP echo server as a state machine on epoll", options, argc, argv)) {
    return *code;
  }
  example::prepare_server_process();
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  const int listener = example::start_listening(program, options);
  if (listener < 0) return EXIT_FAILURE;
  event_loop loop{epoll, listener};
  if (epoll < 0 || !loop.watch(listener)) {
    std::fprintf(stderr, "%s: cannot watch the listener: %s\n", program, std::strerror(errno));
    return EXIT_FAILURE;
  }
  while (!example::stop_requested()) loop.turn();
}
