#include "fiber_server.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fcntl.h>
#include <list>
#include <mutex>
#include <string>
#include <sys/resource.h>
#include <sys/socket.h>
#include <system_error>
#include <thread>
#include <utility>

#include "shortage.hpp"

namespace example {
namespace {

using weft::net::endpoint;
using weft::net::listener;
using weft::net::socket;

// Keeps the first failure among the workers, and tells the main fiber that there is one.
class failure_alarm {
public:
  failure_alarm() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
      throw std::system_error(errno, std::system_category(), "socketpair");
    }
    heard_ = socket::adopt(ends[0]);
    raised_ = socket::adopt(ends[1]);
  }

  // Calls `function` and keeps what it throws. Any thread.
  template <class Function>
  void guard(Function&& function) noexcept {
    try {
      function();
    } catch (...) {
      std::lock_guard lock{mutex_};
      if (!first_) first_ = std::current_exception();
      // A plain system call on a descriptor that outlives the workers.
      ::shutdown(raised_.native_handle(), SHUT_WR);
    }
  }

  // Waits for a failure. Returns false when the calling fiber, one of the main thread, was
  // cancelled before.
  bool wait() {
    std::byte nothing{};
    std::error_code ec;
    heard_.read_some({&nothing, 1}, ec);
    if (ec == weft::errc::cancelled) return false;
    if (ec != weft::errc::eof) guard([&] { throw std::system_error(ec, "wait for the workers"); });
    return true;
  }

  // Throws the first failure, if there was one; to be called once the workers have ended.
  void rethrow() const {
    if (first_) std::rethrow_exception(first_);
  }

private:
  std::mutex mutex_;  // guards `first_`
  std::exception_ptr first_;
  socket heard_;
  socket raised_;
};

// A thread beside the one of main that runs fibers and serves a listener of its own. The destructor
// waits for the end of the thread, which somebody must have asked for.
class worker {
public:
  worker(listener own, const serve_function& serve, failure_alarm& alarm)
      : listener_(std::move(own)), thread_([this, &serve, &alarm] {
          alarm.guard([&] { runtime_.run([&] { serve(listener_); }); });
        }) {}

  worker(const worker&) = delete;
  worker& operator=(const worker&) = delete;

  ~worker() { thread_.join(); }

  void request_stop() noexcept { runtime_.request_stop(); }

private:
  weft::runtime runtime_;
  listener listener_;
  std::thread thread_;
};

// All workers, the one of the main thread included. They end together, so that the connections in
// flight of all of them have the same time.
class worker_group {
public:
  explicit worker_group(const serve_function& serve) : serve_(serve) {}

  worker_group(const worker_group&) = delete;
  worker_group& operator=(const worker_group&) = delete;

  ~worker_group() { request_stop(); }

  // Starts one on a thread of its own.
  void add(const endpoint& address) {
    listener own{address, {.reuse_port = true}};
    try {
      threads_.emplace_back(std::move(own), serve_, alarm_);
    } catch (const std::system_error& error) {
      throw std::system_error(error.code(),
                              "cannot start worker " + std::to_string(threads_.size() + 2));
    }
  }

  // Serves on the main thread too, until a signal cancels the calling fiber or a worker fails, and
  // waits for the end of all of them. Errors: what the first one that failed has thrown.
  void run(listener& first) {
    {
      auto server = weft::spawn([&] { alarm_.guard([&] { serve_(first); }); });
      auto watch = weft::spawn([&] {
        if (alarm_.wait()) server.request_cancel();
      });
      std::error_code stopped;
      server.join(stopped);
      request_stop();
    }  // here the two are cancelled and waited for
    threads_.clear();
    alarm_.rethrow();
  }

private:
  void request_stop() noexcept {
    for (worker& each : threads_) each.request_stop();
  }

  const serve_function& serve_;
  failure_alarm alarm_;
  std::list<worker> threads_;
};

endpoint address_of(const server_options& options) {
  const bool v6 = options.host.find(':') != std::string::npos;
  const std::string host = v6 ? "[" + options.host + "]" : options.host;
  return endpoint::parse(host + ":" + std::to_string(options.port));
}

// Counts descriptors that are free below `limit`, at most `enough` of them.
rlim_t free_descriptors(rlim_t limit, rlim_t enough) {
  rlim_t free = 0;
  for (rlim_t fd = 0; fd < limit && free < enough; ++fd) {
    if (::fcntl(static_cast<int>(fd), F_GETFD) < 0) ++free;
  }
  return free;
}

// Says before anything runs that there are too few descriptors to serve a single connection.
void require_descriptors(unsigned workers) {
  constexpr rlim_t of_connection = 1;
  constexpr rlim_t of_worker = 3;  // its listener and the two of its poller
  constexpr rlim_t of_alarm = 2;
  const rlim_t needed = of_connection + workers * of_worker + (workers > 1 ? of_alarm : 0);
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  if (free_descriptors(limit.rlim_cur, needed) == needed) return;
  throw std::system_error(std::make_error_code(std::errc::too_many_files_open),
                          "--workers " + std::to_string(workers) + " needs " +
                              std::to_string(needed) + " descriptors at least");
}

void serve_on_workers(const server_options& options, const serve_function& serve) {
  require_descriptors(options.workers);
  const endpoint wanted = address_of(options);
  const weft::net::listen_options sharing{.reuse_port = options.workers > 1};
  // Listeners that share a port would also share it with another server: refused here, as without.
  if (sharing.reuse_port) listener{wanted}.close();
  listener first{wanted, sharing};
  const endpoint address = first.local_endpoint();
  const auto announce = [&] { std::printf("listening on %s\n", address.to_string().c_str()); };

  if (options.workers == 1) {
    announce();
    return serve(first);
  }
  worker_group workers{serve};
  for (unsigned i = 1; i < options.workers; ++i) workers.add(address);
  announce();
  workers.run(first);
}

}  // namespace

int run_fiber_server(const char* program, const server_options& options,
                     const serve_function& serve) {
  try {
    weft::run([&] { serve_on_workers(options, serve); });
    return EXIT_SUCCESS;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", program, with_limit(error).c_str());
    return EXIT_FAILURE;
  }
}

}  // namespace example
