#include "tally.hpp"

#include <cstring>

namespace weft::load {

std::string name_of_outcome(int code) {
  if (code == outcome::closed_by_peer) return "closed_by_peer";
  if (code == outcome::unanswered) return "unanswered";
  const char* name = ::strerrorname_np(code);
  return name != nullptr ? name : "errno_" + std::to_string(code);
}

void tally::add(const tally& other) noexcept {
  bytes_sent += other.bytes_sent;
  bytes_received += other.bytes_received;
  corrupt_bytes += other.corrupt_bytes;
  messages_total += other.messages_total;
  opened += other.opened;
  lost += other.lost;
  slow_connects += other.slow_connects;
  connect_retries += other.connect_retries;
  for (std::size_t i = 0; i < errors.size(); ++i) errors[i] += other.errors[i];
  completed += other.completed;
  overdue += other.overdue;
  intended += other.intended;
  late_starts += other.late_starts;
  unfinished += other.unfinished;
  unsent += other.unsent;
  measured = std::max(measured, other.measured);
  // Of the process that was nearest to its limit; sums would say nothing about any of them.
  if (cpu_fraction + wait_fraction < other.cpu_fraction + other.wait_fraction) {
    cpu_fraction = other.cpu_fraction;
    wait_fraction = other.wait_fraction;
  }
  server_cpu = std::max(server_cpu, other.server_cpu);
  latency.add(other.latency);
  connect_time = std::max(connect_time, other.connect_time);
}

}  // namespace weft::load
