// What the servers without weft share around their sockets: the listening socket, the accepted
// ones, how a signal stops them, and what is said when descriptors run out.
//
// Plain POSIX. Threads: any thread may accept; one listener a process is stopped by signals.
#pragma once

#include <arpa/inet.h>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server_options.hpp"
#include "shortage.hpp"
#include "socket_file.hpp"

namespace example {

/// How long connections in flight may go on after the first signal.
inline constexpr std::chrono::seconds drain_time{5};

/// How long to wait before the next accept once descriptors have run out.
inline constexpr std::chrono::milliseconds accept_backoff{10};

/// Writes `address`, whose unused bytes are zero, as people do: `127.0.0.1:25000`, `[::1]:25000`,
/// `unix:/run/echo.sock`, `unix:@abstract`, and `unix:` for the peer of a UNIX socket, which seldom
/// has a name.
inline std::string address_text(const sockaddr_storage& address) {
  if (address.ss_family == AF_UNIX) {
    const auto& local = reinterpret_cast<const sockaddr_un&>(address);
    const bool abstract = local.sun_path[0] == '\0' && local.sun_path[1] != '\0';
    const std::size_t begin = abstract ? 1 : 0;
    const std::size_t size = ::strnlen(local.sun_path + begin, sizeof local.sun_path - begin);
    return (abstract ? "unix:@" : "unix:") + std::string{local.sun_path + begin, size};
  }
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    return "[" + std::string{text} + "]:" + std::to_string(ntohs(v6.sin6_port));
  }
  const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
  ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
  return std::string{text} + ":" + std::to_string(ntohs(v4.sin_port));
}

/// Turns the address of `options`, which was checked before, into `address`. Returns its size.
inline socklen_t fill_address(const server_options& options, sockaddr_storage& address) {
  if (!options.path.empty()) {
    auto& local = reinterpret_cast<sockaddr_un&>(address);
    local.sun_family = AF_UNIX;
    std::memcpy(local.sun_path, options.path.c_str(), options.path.size() + 1);
    return sizeof local;
  }
  auto& v4 = reinterpret_cast<sockaddr_in&>(address);
  if (::inet_pton(AF_INET, options.host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(options.port);
    return sizeof v4;
  }
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address);
  ::inet_pton(AF_INET6, options.host.c_str(), &v6.sin6_addr);
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(options.port);
  return sizeof v6;
}

/// Returns what `error`, an errno, means, and the limit behind it.
inline std::string reason_of(int error) {
  return std::strerror(error) + limit_behind({error, std::system_category()});
}

namespace detail {
// Binds `listener`; a socket file that nobody listens on any more is replaced. False with errno.
inline bool bind_to(int listener, const sockaddr_storage& address, socklen_t size) {
  const auto bind = [&] {
    return ::bind(listener, reinterpret_cast<const sockaddr*>(&address), size) == 0;
  };
  if (bind()) return true;
  if (errno != EADDRINUSE || address.ss_family != AF_UNIX) return false;
  const auto& local = reinterpret_cast<const sockaddr_un&>(address);
  if (is_stale_socket(local) && ::unlink(local.sun_path) == 0) return bind();
  errno = EADDRINUSE;
  return false;
}
}  // namespace detail

/// Opens the socket that `options` ask for, listening, non-blocking. Returns it, or -1 after one
/// line on stderr that says what failed; `bound` is the address it got.
inline int open_listener(const char* program, const server_options& options,
                         sockaddr_storage& bound) {
  socklen_t size = fill_address(options, bound);
  const std::string wanted = address_text(bound);
  const int listener = ::socket(bound.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int on = 1;  // without an effect on a UNIX socket
  if (listener >= 0 && ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
      detail::bind_to(listener, bound, size) && ::listen(listener, SOMAXCONN) == 0 &&
      ::getsockname(listener, reinterpret_cast<sockaddr*>(&bound), &size) == 0) {
    return listener;
  }
  const int error = errno;
  const std::string reason =
      error == EADDRINUSE ? "the address is already in use" : reason_of(error);
  std::fprintf(stderr, "%s: cannot listen on %s: %s\n", program, wanted.c_str(), reason.c_str());
  if (listener >= 0) ::close(listener);
  return -1;
}

namespace detail {
inline std::atomic<bool> stop_requested{false};
inline std::atomic<int> stopped_listener{-1};
static_assert(std::atomic<int>::is_always_lock_free, "the signal handler needs it");

// The first signal ends the listening, by a call that POSIX allows in a handler and that wakes
// whoever waits for the listener in poll(2) or epoll_wait(2); the next one finds the default
// action: the end.
inline void stop_on_signal(int) {
  const int saved_errno = errno;
  for (const int each : {SIGINT, SIGTERM}) {
    struct sigaction now {};

    ::sigaction(each, nullptr, &now);
    if (now.sa_handler == stop_on_signal)
      std::signal(each, SIG_DFL);  // and not one that is ignored
  }
  stop_requested.store(true);
  ::shutdown(stopped_listener.load(), SHUT_RDWR);
  errno = saved_errno;
}
}  // namespace detail

/// Lets the first SIGINT or SIGTERM shut `listener`, so that every accept on it fails from then on
/// with EINVAL, and the second one end the process; but for one that the process ignores.
inline void stop_listener_on_signals(int listener) {
  detail::stopped_listener.store(listener);
#ifdef __SANITIZE_THREAD__
  // A signal that comes during the first call that may block is lost (SigCtx() of GCC 12's TSan).
  ::poll(nullptr, 0, 0);
#endif

  struct sigaction action {};

  action.sa_handler = detail::stop_on_signal;
  action.sa_flags = SA_RESTART;
  for (const int each : {SIGINT, SIGTERM}) {
    struct sigaction before {};

    ::sigaction(each, nullptr, &before);
    // One that is ignored stays so: a shell ignores SIGINT for what it starts in the background.
    if (before.sa_handler != SIG_IGN) ::sigaction(each, &action, nullptr);
  }
}

/// Keeps SIGINT and SIGTERM from the threads that are started while it lives: they stay with the
/// thread that starts them.
///
/// Does so under the thread sanitizer alone, which loses a signal that comes to a thread before its
/// first call that may block (SigCtx() of GCC 12's TSan). The handler itself may run on any thread,
/// and a thread is not to cost two more system calls.
class without_stop_signals {
#ifdef __SANITIZE_THREAD__
public:
  without_stop_signals() {
    sigset_t stop;
    ::sigemptyset(&stop);
    ::sigaddset(&stop, SIGINT);
    ::sigaddset(&stop, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &stop, &before_);
  }

  ~without_stop_signals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

  without_stop_signals(const without_stop_signals&) = delete;
  without_stop_signals& operator=(const without_stop_signals&) = delete;

private:
  sigset_t before_{};
#endif
};

/// Has signals stop `listener`, which is bound to `bound`, and prints `listening on HOST:PORT`, or
/// `listening on unix:PATH`. Returns false after one line on stderr when it cannot.
inline bool announce_listener(const char* program, int listener, const sockaddr_storage& bound) {
  stop_listener_on_signals(listener);  // whoever has read the line may send one
  if (print_address(address_text(bound))) return true;
  std::fprintf(stderr, "%s: cannot write to stdout: %s\n", program, std::strerror(errno));
  return false;
}

/// Listens as `options` say, until a signal, and says so. Returns the socket, or -1 after one line
/// on stderr that says what failed.
inline int start_listening(const char* program, const server_options& options) {
  sockaddr_storage bound{};
  const int listener = open_listener(program, options, bound);
  return listener >= 0 && announce_listener(program, listener, bound) ? listener : -1;
}

/// Tells whether a signal has asked the server to stop.
inline bool stop_requested() { return detail::stop_requested.load(); }

/// Accepts one connection, of TCP with TCP_NODELAY set; `type_flags` may hold SOCK_NONBLOCK.
/// Returns the socket, or -1 with errno of accept4(2).
inline int accept_connection(int listener, int type_flags, sockaddr_storage& peer) {
  socklen_t size = sizeof peer;
  const int fd =
      ::accept4(listener, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_CLOEXEC | type_flags);
  if (fd < 0) return -1;
  const int on = 1;
  // Fails only if the peer has reset, or on a UNIX socket, which has no such option.
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

/// Waits for a connection to accept, or for the listener to be shut.
inline void wait_for_connection(int listener) {
  pollfd readable{listener, POLLIN, 0};
  ::poll(&readable, 1, -1);  // interrupted: the caller looks at the listener again anyway
}

/// Tells whether accept failed with `error` because something ran out that a close gives back.
inline bool is_out_of_resources(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/// Says once in a minute at most why no connection can be accepted, and names the limit.
inline void report_out_of_resources(const char* program, int error) {
  using clock = std::chrono::steady_clock;
  static std::atomic<clock::rep> next_report{clock::now().time_since_epoch().count()};
  const clock::time_point now = clock::now();
  clock::rep due = next_report.load();
  const clock::rep next = (now + std::chrono::minutes{1}).time_since_epoch().count();
  // Of several acceptors that fail at the same time one wins the exchange and speaks.
  if (now.time_since_epoch().count() < due || !next_report.compare_exchange_strong(due, next))
    return;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const std::string reason =
      error == EMFILE
          ? "the limit of open files (ulimit -n) is " + std::to_string(limit.rlim_cur)
          : std::string{std::strerror(error)} + " (see sysctl fs.file-max for open files)";
  std::fprintf(stderr, "%s: cannot accept more connections: %s; going on when one has closed\n",
               program, reason.c_str());
}

}  // namespace example
