// What the servers with a blocking thread for each connection share: accepting, the threads, the
// orderly end.
//
// Plain POSIX and std::thread. Threads: for main() alone.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <mutex>
#include <pthread.h>
#include <string>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

#include "posix_server.hpp"

namespace example {

/// Serves one connection on its thread. The descriptor is closed afterwards.
using serve_connection = std::function<void(int fd)>;

namespace detail {

// A buffer, a few calls and the thread's own data; only touched pages cost memory. The thread
// sanitizer alone keeps 800 kB of its own on each stack.
#ifdef __SANITIZE_THREAD__
inline constexpr std::size_t stack_bytes = 1024 * 1024;
#else
inline constexpr std::size_t stack_bytes = 64 * 1024;
#endif

inline void use_small_stacks() {
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setstacksize(&attributes, stack_bytes);
  ::pthread_setattr_default_np(&attributes);
  ::pthread_attr_destroy(&attributes);
}

// How many connections are open, so that the end of the server can wait for them.
class connection_count {
public:
  void add() {
    std::lock_guard lock{mutex_};
    ++open_;
  }

  void remove() {
    std::lock_guard lock{mutex_};
    if (--open_ == 0) none_.notify_all();
  }

  void wait_for_none(std::chrono::seconds at_most) {
    std::unique_lock lock{mutex_};
    none_.wait_for(lock, at_most, [this] { return open_ == 0; });
  }

private:
  std::mutex mutex_;
  std::condition_variable none_;
  std::size_t open_ = 0;
};

class thread_server {
public:
  thread_server(const char* program, bool quiet, const serve_connection& serve)
      : program_{program}, quiet_{quiet}, serve_{serve} {}

  // Accepts until a signal stops the listener.
  void accept_connections(int listener) {
    while (!example::stop_requested()) {
      sockaddr_storage peer{};
      const int fd = accept_connection(listener, 0, peer);
      if (fd >= 0) {
        if (!quiet_) std::printf("Connection from: %s\n", address_text(peer).c_str());
        start(fd);
      } else if (errno == EAGAIN) {
        wait_for_connection(listener);
      } else if (is_out_of_resources(errno)) {
        report_out_of_resources(program_, errno);
        std::this_thread::sleep_for(accept_backoff);
      }
    }
  }

  void wait_for_connections() { connections_.wait_for_none(drain_time); }

private:
  void start(int fd) {
    connections_.add();
    [[maybe_unused]] const without_stop_signals hold;
    try {
      std::thread{[this, fd] {
        serve_(fd);
        end_connection(fd);
      }}.detach();
    } catch (const std::system_error& error) {
      std::fprintf(stderr, "%s: no thread for a connection, it is closed: %s\n", program_,
                   with_limit(error).c_str());
      end_connection(fd);
    }
  }

  void end_connection(int fd) {
    ::close(fd);
    if (!quiet_) std::puts("Connection closed");
    connections_.remove();
  }

  const char* program_;
  bool quiet_;
  const serve_connection& serve_;
  connection_count connections_;
};

}  // namespace detail

/// Listens as `options` say, prints `listening on HOST:PORT` or `listening on unix:PATH`, accepts
/// on as many threads as they ask for, and calls `serve` for each connection on a thread of its
/// own.
///
/// Waits until SIGINT or SIGTERM, and then for the connections in flight. Ends the process; returns
/// the code to exit with only after a failure, and one line on stderr that names it.
inline int run_thread_server(const char* program, const server_options& options,
                             const serve_connection& serve) {
  detail::use_small_stacks();
  sockaddr_storage bound{};
  const int listener = open_listener(program, options, bound);
  if (listener < 0) return EXIT_FAILURE;
  const socket_file file{options.path};  // before anybody hears of it
  if (!announce_listener(program, listener, bound)) {
    file.remove();
    return EXIT_FAILURE;
  }

  detail::thread_server server{program, options.quiet, serve};
  std::vector<std::thread> acceptors;
  try {
    [[maybe_unused]] const without_stop_signals hold;
    for (unsigned i = 1; i < options.workers; ++i) {
      acceptors.emplace_back([&] { server.accept_connections(listener); });
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: cannot start worker %zu: %s\n", program, acceptors.size() + 2,
                 with_limit(error).c_str());
    file.remove();
    std::_Exit(EXIT_FAILURE);  // at once, with the threads that are accepting
  }
  server.accept_connections(listener);
  for (std::thread& acceptor : acceptors) acceptor.join();
  file.remove();
  ::close(listener);

  server.wait_for_connections();
  std::fflush(stdout);
  // Threads that are still in a connection must not see anything destroyed.
  std::_Exit(EXIT_SUCCESS);
}

}  // namespace example
