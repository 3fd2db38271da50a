// What the two servers on threads share: the echo of one connection, and how connections come to
// threads.
#pragma once

#include <array>
#include <cstdio>
#include <cstdlib>
#include <pthread.h>
#include <system_error>
#include <thread>

#include "support/posix_server.hpp"

inline constexpr std::size_t buffer_bytes = 8192;
#ifdef __SANITIZE_THREAD__
inline constexpr std::size_t stack_bytes = std::size_t{1024} * 1024;  // 800 kB are its own
#else
inline constexpr std::size_t stack_bytes = std::size_t{64} * 1024;
#endif

inline bool send_all(int fd, const char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t sent = ::send(fd, data, size, MSG_NOSIGNAL);
    if (sent < 0) return false;
    data += sent;
    size -= static_cast<std::size_t>(sent);
  }
  return true;
}

inline void echo(int fd) {
  std::array<char, buffer_bytes> buffer;
  ssize_t received = 0;
  while ((received = ::recv(fd, buffer.data(), buffer.size(), 0)) > 0) {
    if (!send_all(fd, buffer.data(), static_cast<std::size_t>(received))) break;
  }
  ::close(fd);
}

inline void use_small_stacks() {
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setstacksize(&attributes, stack_bytes);
  ::pthread_setattr_default_np(&attributes);
  ::pthread_attr_destroy(&attributes);
}

inline void start_thread(const char* program, void (*serve)(int), int fd) {
  [[maybe_unused]] const example::without_stop_signals hold;
  try {
    std::thread{serve, fd}.detach();
  } catch (const std::system_error& error) {
    std::fprintf(stderr, "%s: no thread for a connection: %s\n", program, error.what());
    ::close(fd);
  }
}

// Accepts until a signal stops the listener, and gives each connection to `start`.
inline int run_server(const char* program, const char* description, void (*start)(int), int argc,
                      char** argv) {
  example::server_options options;
  if (const auto code =
          example::parse_single_threaded_options(program, description, options, argc, argv)) {
    return *code;
  }
  example::prepare_server_process();
  use_small_stacks();
  const int listener = example::start_listening(program, options);
  if (listener < 0) return EXIT_FAILURE;
  while (!example::stop_requested()) {
    sockaddr_storage peer{};
    const int fd = example::accept_connection(listener, 0, peer);
    if (fd >= 0) {
      start(fd);
    } else if (errno == EAGAIN) {
      example::wait_for_connection(listener);
    } else if (example::is_out_of_resources(errno)) {
      example::report_out_of_resources(program, errno);
      std::this_thread::sleep_for(example::accept_backoff);
    }
  }
  std::fflush(stdout);
  std::_Exit(EXIT_SUCCESS);  // connections that are still open end with the process
}
