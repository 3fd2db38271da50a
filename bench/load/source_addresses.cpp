#include "source_addresses.hpp"

#include <arpa/inet.h>
#include <fstream>
#include <random>

namespace weft::load {
namespace {

// 127.0.0.2 to 127.0.249.251: enough for 100,000 connections a second through a TIME_WAIT of 60 s.
constexpr std::uint32_t per_group = 250;
constexpr std::uint32_t addresses = per_group * 250;

// From here on one run's connections would hold a good part of one address's ports, and the next
// run would find them in TIME_WAIT.
constexpr std::uint64_t many_connections = 1000;

}  // namespace

source_addresses::source_addresses(const options& settings, unsigned client) {
  const bool many = settings.connections >= many_connections || settings.clients > 1;
  spread_ = settings.where.is_loopback_v4() && (many || settings.mode == load_mode::churn);
  if (!spread_) return;
  // Starts anywhere, so that runs in a row do not meet each other's TIME_WAIT.
  step_ = settings.clients;
  const std::uint32_t rounds = addresses / step_;
  next_ = (std::random_device{}() % rounds) * step_ + client;
}

std::optional<in_addr> source_addresses::next() noexcept {
  if (!spread_) return std::nullopt;
  const std::uint32_t index = next_;
  next_ += step_;
  // Wraps to the same remainder by `step_`: each client keeps to addresses of its own.
  if (next_ >= addresses / step_ * step_) next_ %= step_;
  in_addr source{};
  source.s_addr = htonl((127u << 24) + (index / per_group << 8) + 2 + index % per_group);
  return source;
}

std::uint64_t ports_of_one_address() {
  std::ifstream range("/proc/sys/net/ipv4/ip_local_port_range");
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  if (range >> first >> last && last >= first) return last - first + 1;
  return 28232;  // the kernel's default range, 32768 to 60999
}

}  // namespace weft::load
