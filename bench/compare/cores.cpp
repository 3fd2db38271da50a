#include "cores.hpp"

#include <fstream>
#include <sched.h>

namespace weft::compare {
namespace {

std::string list(const core_set& cores) {
  std::string text = cores.size() == 1 ? "core " : "cores ";
  for (std::size_t i = 0; i < cores.size(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(cores[i]);
  }
  return text;
}

// Two processors with the same physical core slow each other down.
std::string physical_core(unsigned core) {
  std::ifstream file{"/sys/devices/system/cpu/cpu" + std::to_string(core) +
                     "/topology/thread_siblings_list"};
  std::string siblings;
  std::getline(file, siblings);
  return siblings;
}

}  // namespace

std::string core_plan::text() const {
  std::string result = "server on " + list(server) + ", load on " + list(load);
  if (shared()) return result + ": there is no other, throughput and latency mean little";
  const std::string of_server = physical_core(server.front());
  for (const unsigned core : load) {
    if (of_server.empty() || physical_core(core) != of_server) continue;
    return result + "; they share a physical core";
  }
  return result;
}

core_plan plan_cores() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  core_set usable;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
    for (unsigned core = 0; core < CPU_SETSIZE; ++core) {
      if (CPU_ISSET(core, &allowed)) usable.push_back(core);
    }
  }
  if (usable.empty()) usable.push_back(0);  // more cores than a cpu_set_t holds
  if (usable.size() == 1) return {usable, usable};
  return {{usable.front()}, {usable.begin() + 1, usable.end()}};
}

bool bind_to(const core_set& cores) noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const unsigned core : cores) CPU_SET(core, &set);
  return ::sched_setaffinity(0, sizeof set, &set) == 0;
}

}  // namespace weft::compare
