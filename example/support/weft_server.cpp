#include "weft_server.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fcntl.h>
#include <mutex>
#include <string>
#include <sys/resource.h>
#include <system_error>
#include <vector>

#include "shortage.hpp"

namespace example {
namespace {

using weft::net::endpoint;
using weft::net::listener;

endpoint address_of(const server_options& options) {
  if (!options.path.empty()) return endpoint::unix_domain(options.path);
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

// Says before anything is served that there are too few descriptors for a single connection.
void require_descriptors(unsigned workers) {
  constexpr rlim_t of_connection = 1;
  constexpr rlim_t of_worker = 3;  // its listener and the two of its poller
  const rlim_t needed = of_connection + workers * of_worker;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  if (free_descriptors(limit.rlim_cur, needed) == needed) return;
  throw std::system_error(std::make_error_code(std::errc::too_many_files_open),
                          "--workers " + std::to_string(workers) + " needs " +
                              std::to_string(needed) + " descriptors at least");
}

// Of each worker one, over which the kernel spreads the connections; or a single one that all of
// them accept from, for there is no sharing of a socket file.
std::vector<listener> listen(const server_options& options) {
  const endpoint wanted = address_of(options);
  const bool each_its_own = options.workers > 1 && !wanted.is_unix();
  // Listeners that share a port would also share it with another server: refused here, as without.
  if (each_its_own) listener{wanted}.close();
  const weft::net::listen_options sharing{.reuse_port = each_its_own};
  std::vector<listener> result;
  result.emplace_back(wanted, sharing);
  const endpoint address = result.front().local_endpoint();
  while (each_its_own && result.size() < options.workers) result.emplace_back(address, sharing);
  return result;
}

// Serves on all workers until a signal cancels the calling fiber or one of them fails, and ends
// them together, so that the connections in flight of all have the same time.
class crew {
public:
  crew(std::vector<listener>& listeners, unsigned workers, const serve_function& serve)
      : listeners_(listeners) {
    for (unsigned i = 0; i < workers; ++i) {
      listener& own = listeners[i % listeners.size()];
      servers_.push_back(weft::spawn_on(i, [this, &own, &serve] { guard(own, serve); }));
    }
  }

  // Errors: what the first worker that failed has thrown.
  void run() {
    std::error_code stopped;
    failed_.wait(stopped);
    const weft::shield until_the_end;
    for (auto& each : servers_) each.request_cancel();
    for (listener& each : listeners_) each.close();  // also those whose server never began
    for (auto& each : servers_) each.join();
    if (failure_) std::rethrow_exception(failure_);
  }

private:
  void guard(listener& own, const serve_function& serve) {
    try {
      serve(own);
    } catch (...) {
      const std::lock_guard hold{mutex_};
      if (!failure_) failure_ = std::current_exception();
      failed_.set();
    }
  }

  std::vector<listener>& listeners_;
  weft::event failed_;
  weft::mutex mutex_;  // guards `failure_` until all have ended
  std::exception_ptr failure_;
  std::vector<weft::fiber<>> servers_;  // the first to be destroyed: they use the others
};

void serve_on_workers(const server_options& options, const serve_function& serve) {
  require_descriptors(options.workers);
  std::vector<listener> listeners = listen(options);
  const std::string address = listeners.front().local_endpoint().to_string();
  const auto announce = [&] {
    if (print_address(address)) return;
    throw std::system_error(errno, std::system_category(), "cannot write to stdout");
  };

  if (options.workers == 1) {
    announce();
    return serve(listeners.front());
  }
  crew workers{listeners, options.workers, serve};
  announce();
  workers.run();
}

}  // namespace

int run_weft_server(const char* program, const server_options& options,
                    const serve_function& serve) {
  bool started = false;
  try {
    weft::run(
        [&] {
          started = true;
          serve_on_workers(options, serve);
        },
        {.workers = options.workers});
    return EXIT_SUCCESS;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s%s\n", program,
                 started ? "" : "cannot start the workers: ", with_limit(error).c_str());
    return EXIT_FAILURE;
  }
}

}  // namespace example
