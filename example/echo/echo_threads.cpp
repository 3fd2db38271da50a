// Echo, the classic way: a blocking thread for each connection, on plain POSIX and std::thread.
//
// --workers sets how many threads accept; each connection has a thread of its own in any case.
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <pthread.h>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "../support/posix_server.hpp"

namespace {

constexpr const char* program = "echo-threads";
constexpr std::size_t buffer_bytes = 8192;
// The buffer, a few calls and the thread's own data; only touched pages cost memory. The thread
// sanitizer alone keeps 800 kB of its own on each stack.
#ifdef __SANITIZE_THREAD__
constexpr std::size_t stack_bytes = 1024 * 1024;
#else
constexpr std::size_t stack_bytes = 64 * 1024;
#endif

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

connection_count connections;

bool send_all(int fd, const char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t sent = ::send(fd, data, size, MSG_NOSIGNAL);
    if (sent < 0) return false;
    data += sent;
    size -= static_cast<std::size_t>(sent);
  }
  return true;
}

void end_connection(int fd, bool quiet) {
  ::close(fd);
  if (!quiet) std::puts("Connection closed");
  connections.remove();
}

void serve(int fd, bool quiet) {
  char buffer[buffer_bytes];
  ssize_t received = 0;
  while ((received = ::recv(fd, buffer, sizeof buffer, 0)) > 0) {
    if (!send_all(fd, buffer, static_cast<std::size_t>(received))) break;
  }
  end_connection(fd, quiet);
}

void start_thread(int fd, bool quiet) {
  connections.add();
  try {
    std::thread{serve, fd, quiet}.detach();
  } catch (const std::system_error& error) {
    std::fprintf(stderr, "%s: no thread for a connection, it is closed: %s\n", program,
                 example::with_limit(error).c_str());
    end_connection(fd, quiet);
  }
}

void accept_connections(int listener, bool quiet) {
  while (!example::stop_requested()) {
    sockaddr_storage peer{};
    const int fd = example::accept_connection(listener, 0, peer);
    if (fd >= 0) {
      if (!quiet) std::printf("Connection from: %s\n", example::address_text(peer).c_str());
      start_thread(fd, quiet);
    } else if (errno == EAGAIN) {
      example::wait_for_connection(listener);
    } else if (example::is_out_of_resources(errno)) {
      example::report_out_of_resources(program, errno);
      std::this_thread::sleep_for(example::accept_backoff);
    }
  }
}

void use_small_stacks() {
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setstacksize(&attributes, stack_bytes);
  ::pthread_setattr_default_np(&attributes);
  ::pthread_attr_destroy(&attributes);
}

}  // namespace

int main(int argc, char** argv) {
  example::server_options options;
  if (const auto code = example::parse_server_options(
          program, "TCP echo server with a thread for each connection",
          "threads that accept; each connection has a thread of its own", options, argc, argv)) {
    return *code;
  }
  example::prepare_server_process();
  use_small_stacks();
  const int listener = example::start_listening(program, options);
  if (listener < 0) return EXIT_FAILURE;

  std::vector<std::thread> acceptors;
  try {
    for (unsigned i = 1; i < options.workers; ++i) {
      acceptors.emplace_back(accept_connections, listener, options.quiet);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: cannot start worker %zu: %s\n", program, acceptors.size() + 2,
                 example::with_limit(error).c_str());
    std::_Exit(EXIT_FAILURE);  // at once, with the threads that are accepting
  }
  accept_connections(listener, options.quiet);
  for (std::thread& acceptor : acceptors) acceptor.join();

  connections.wait_for_none(example::drain_time);
  std::fflush(stdout);
  std::_Exit(
      EXIT_SUCCESS);  // threads that are still in a connection must not see statics destroyed
}
