#include "client.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <new>
#include <system_error>
#include <unistd.h>

#include "churn.hpp"
#include "connector.hpp"
#include "idle.hpp"
#include "steady.hpp"

namespace weft::load {
namespace {

void run_phases(client_state& state) {
  const bool connects_first = state.settings.mode != load_mode::churn;
  if (connects_first && !connect_all(state)) return;
  state.parent.say(client_says::connected);
  const auto start = state.parent.wait_for_start();
  if (!start) return;
  switch (state.settings.mode) {
  case load_mode::closed:
  case load_mode::open: return run_steady(state, *start);
  case load_mode::churn: return run_churn(state, *start);
  case load_mode::idle: return run_idle(state, *start);
  }
}

}  // namespace

share share::of(const options& settings, std::uint32_t client) noexcept {
  const std::uint64_t all = settings.connections;
  const auto begin_of = [&](std::uint64_t index) {
    return static_cast<std::uint32_t>(all * index / settings.clients);
  };
  const std::uint32_t first = begin_of(client);
  return {client, first, begin_of(client + 1) - first};
}

client_state::client_state(const options& all_settings, share my_share, parent_link& link,
                           shared_slot& memory)
    : settings(all_settings), mine(my_share), parent(link), slot(memory), counts(memory.result),
      sources(settings, mine.client), io(settings, bytes, counts), connections(mine.count),
      starts_(std::size_t{mine.count} * settings.depth) {
  queue.add_control(parent.fd());
  for (std::size_t i = 0; i < connections.size(); ++i) {
    connections[i].starts = starts_.data() + i * settings.depth;
  }
}

int client_state::open(connection& c) {
  const int fd = settings.where.make_socket(sources.next());
  if (fd < 0) return errno;
  const int reason = settings.where.connect(fd);
  if (reason != 0) {
    ::close(fd);
    return reason;
  }
  c.fd = fd;
  return outcome::good;
}

void client_state::close(connection& c) noexcept {
  if (c.fd >= 0) ::close(c.fd);
  c.fd = -1;
}

void client_state::lose(connection& c, int code) noexcept {
  counts.count_error(code);
  ++counts.lost;
  close(c);
}

void client_state::publish(std::uint64_t live_connections) noexcept {
  slot.live_connections.store(live_connections, std::memory_order_relaxed);
  slot.live_messages.store(counts.messages_total, std::memory_order_relaxed);
}

cpu_times cpu_times::now() noexcept {
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);  // cannot fail for this clock
  cpu_times times;
  times.ran = std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
  // Kernels without scheduler statistics have no such file; then only the own time counts.
  if (std::FILE* statistics = std::fopen("/proc/self/schedstat", "re")) {
    long long ran = 0;
    long long waited = 0;
    if (std::fscanf(statistics, "%lld %lld", &ran, &waited) == 2) {
      times.waited = std::chrono::nanoseconds(waited);
    }
    std::fclose(statistics);
  }
  return times;
}

cpu_meter::cpu_meter(const options& settings) noexcept {
  clockid_t of_server{};
  if (settings.server_pid == 0) return;
  if (::clock_getcpuclockid(settings.server_pid, &of_server) == 0) server_clock_ = of_server;
}

std::chrono::nanoseconds cpu_meter::server_cpu() const noexcept {
  timespec used{};
  if (!server_clock_ || ::clock_gettime(*server_clock_, &used) != 0) return {};
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

void cpu_meter::begin() noexcept {
  begun_ = true;
  since_ = clock::now();
  at_begin_ = cpu_times::now();
  server_cpu_at_begin_ = server_cpu();
}

void cpu_meter::end(tally& counts) noexcept {
  if (!begun_) return;
  counts.server_cpu =
      std::max(server_cpu() - server_cpu_at_begin_, std::chrono::nanoseconds::zero());
  using seconds = std::chrono::duration<double>;
  const cpu_times at_end = cpu_times::now();
  const seconds passed = clock::now() - since_;
  if (passed.count() <= 0) return;
  counts.cpu_fraction = seconds(at_end.ran - at_begin_.ran) / passed;
  counts.wait_fraction = seconds(at_end.waited - at_begin_.waited) / passed;
}

int run_client(const options& settings, share mine, int control_fd, shared_slot& slot) {
  parent_link parent(control_fd);
  try {
    client_state state(settings, mine, parent, slot);
    run_phases(state);
    parent.say(client_says::done);
    return 0;
  } catch (const std::bad_alloc&) {
    parent.say(client_says::failed, "not enough memory for so many connections");
  } catch (const std::exception& error) {
    parent.say(client_says::failed, error.what());
  }
  return 1;
}

}  // namespace weft::load
