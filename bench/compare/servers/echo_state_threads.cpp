// Echo on State Threads (libst): a thread of that library for each connection, on poll(2): Debian's
// package is built without epoll, and select(2) has no more than 1,024 descriptors.
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <st.h>

#include "support/posix_server.hpp"

namespace {

constexpr const char* program = "echo-state-threads";
constexpr std::size_t buffer_bytes = 8192;
constexpr int stack_bytes = 64 * 1024;

void* echo(void* argument) {
  const auto peer = static_cast<st_netfd_t>(argument);
  std::array<char, buffer_bytes> buffer;
  for (;;) {
    const ssize_t received = st_read(peer, buffer.data(), buffer.size(), ST_UTIME_NO_TIMEOUT);
    if (received <= 0) break;
    const auto size = static_cast<std::size_t>(received);
    if (st_write(peer, buffer.data(), size, ST_UTIME_NO_TIMEOUT) != received) break;
  }
  st_netfd_close(peer);
  return nullptr;
}

void start(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const st_netfd_t peer = st_netfd_open_socket(fd);
  if (peer == nullptr || st_thread_create(echo, peer, 0, stack_bytes) == nullptr) {
    std::fprintf(stderr, "%s: no thread for a connection, it is closed: %s\n", program,
                 std::strerror(errno));
    peer == nullptr ? ::close(fd) : st_netfd_close(peer);
  }
}

// Accepts until a signal stops the listener.
void serve(st_netfd_t listener) {
  while (!example::stop_requested()) {
    const st_netfd_t peer = st_accept(listener, nullptr, nullptr, ST_UTIME_NO_TIMEOUT);
    if (peer != nullptr) {
      start(st_netfd_fileno(peer));
    } else if (example::is_out_of_resources(errno)) {
      example::report_out_of_resources(program, errno);
      st_usleep(
          static_cast<st_utime_t>(std::chrono::microseconds{example::accept_backoff}.count()));
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  example::server_options options;
  if (const auto code = example::parse_single_threaded_options(
          program, "TCP echo server with a State Thread for each connection", options, argc,
          argv)) {
    return *code;
  }
  example::prepare_server_process();
  if (st_set_eventsys(ST_EVENTSYS_POLL) != 0 || st_init() != 0) {
    std::fprintf(stderr, "%s: cannot start State Threads: %s\n", program, std::strerror(errno));
    return EXIT_FAILURE;
  }
  const int listening = example::start_listening(program, options);
  if (listening < 0) return EXIT_FAILURE;
  const st_netfd_t listener = st_netfd_open_socket(listening);
  if (listener == nullptr) {
    std::fprintf(stderr, "%s: cannot watch the listener: %s\n", program, std::strerror(errno));
    return EXIT_FAILURE;
  }
  serve(listener);
  std::fflush(stdout);
  std::_Exit(EXIT_SUCCESS);  // connections that are still open end with the process
}
