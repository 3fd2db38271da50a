#include "limits.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <sys/resource.h>

#include <fmt/format.h>

#include "source_addresses.hpp"

namespace weft::load {
namespace {

// The standard streams, the epoll descriptor, the control channel and what the loader left open.
constexpr rlim_t beside_connections = 16;

std::optional<std::string> check_server(const options& settings) {
  clockid_t of_server{};
  if (settings.server_pid == 0) return std::nullopt;
  const int reason = ::clock_getcpuclockid(settings.server_pid, &of_server);
  if (reason == 0) return std::nullopt;
  return fmt::format("the CPU time of process {} (--server-pid) cannot be read: {}",
                     settings.server_pid, std::strerror(reason));
}

std::optional<std::string> check_descriptors(const options& settings) {
  const rlim_t per_client = (settings.connections + settings.clients - 1) / settings.clients;
  // The parent has a control channel to each client; a client inherits them for a moment.
  const rlim_t needed = std::max(per_client, rlim_t{2} * settings.clients) + beside_connections;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return fmt::format("cannot read the limit on open files: {}", std::strerror(errno));
  }
  if (limit.rlim_cur >= needed) return std::nullopt;
  if (limit.rlim_max < needed) {
    return fmt::format(
        "{} connections need {} file descriptors in each of {} client processes, but the hard "
        "limit is {}: raise it (ulimit -n), or use more --clients",
        settings.connections, needed, settings.clients, limit.rlim_max);
  }
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) == 0) return std::nullopt;
  return fmt::format("cannot raise the limit on open files (ulimit -n) to {}: {}", limit.rlim_max,
                     std::strerror(errno));
}

std::optional<std::string> check_ports(const options& settings) {
  if (settings.where.is_unix() || settings.where.is_loopback_v4()) return std::nullopt;
  const std::uint64_t ports = ports_of_one_address();
  if (settings.connections <= ports) return std::nullopt;
  return fmt::format(
      "{} connections to {} need as many local ports, but net.ipv4.ip_local_port_range has {}; a "
      "target in 127.0.0.0/8 is reached from many source addresses",
      settings.connections, settings.where.text(), ports);
}

}  // namespace

std::optional<std::string> check_limits(const options& settings) {
  if (auto problem = check_server(settings)) return problem;
  if (auto problem = check_descriptors(settings)) return problem;
  return check_ports(settings);
}

}  // namespace weft::load
