// Echo, the classic way: a blocking thread for each connection, on plain POSIX and std::thread.
//
// --workers sets how many threads accept; each connection has a thread of its own in any case.
#include <cstddef>
#include <sys/socket.h>
#include <sys/types.h>

#include "../support/thread_server.hpp"

namespace {

bool send_all(int fd, const char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t sent = ::send(fd, data, size, MSG_NOSIGNAL);
    if (sent < 0) return false;
    data += sent;
    size -= static_cast<std::size_t>(sent);
  }
  return true;
}

// Sends back what comes until the peer has ended, or has gone.
void echo(int fd) {
  constexpr std::size_t buffer_bytes = 8192;
  char buffer[buffer_bytes];
  ssize_t received = 0;
  while ((received = ::recv(fd, buffer, sizeof buffer, 0)) > 0) {
    if (!send_all(fd, buffer, static_cast<std::size_t>(received))) break;
  }
}

}  // namespace

int main(int argc, char** argv) {
  constexpr const char* program = "echo-threads";
  example::server_options options;
  if (const auto code = example::parse_server_options(
          program, "TCP echo server with a thread for each connection",
          "threads that accept; each connection has a thread of its own", options, argc, argv)) {
    return *code;
  }
  example::prepare_server_process();
  return example::run_thread_server(program, options, echo);
}
