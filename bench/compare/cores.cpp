#include "cores.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sched.h>
#include <string>
#include <system_error>

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

// The memory that is near a core, as "node0"; empty where the kernel does not say.
std::string numa_node(unsigned core) {
  std::error_code ec;
  const std::string folder = "/sys/devices/system/cpu/cpu" + std::to_string(core);
  for (const auto& entry : std::filesystem::directory_iterator{folder, ec}) {
    std::string name = entry.path().filename().string();
    if (name.starts_with("node")) return name;
  }
  return {};
}

// The cores that share the last level of cache with it, as the kernel lists them: a CCD, or a
// processor.
std::string cache_sharers(unsigned core) {
  std::ifstream file{"/sys/devices/system/cpu/cpu" + std::to_string(core) +
                     "/cache/index3/shared_cpu_list"};
  std::string sharers;
  std::getline(file, sharers);
  return sharers;
}

// How far apart the cores of server and load are; empty where the kernel does not say.
std::string distance(unsigned server, const core_set& load) {
  const auto compared = [&](std::string (*place)(unsigned), const char* name) -> std::string {
    const std::string mine = place(server);
    if (mine.empty()) return {};
    const bool all_there =
        std::ranges::all_of(load, [&](unsigned core) { return place(core) == mine; });
    return std::string{all_there ? "; the same " : "; not all of the same "} + name;
  };
  return compared(numa_node, "NUMA node") + compared(cache_sharers, "last-level cache");
}

}  // namespace

std::string core_plan::text() const {
  std::string result = "server on " + list(server) + ", load on " + list(load);
  if (shared()) return result + ": there is no other, throughput and latency mean little";
  const std::string of_server = physical_core(server.front());
  const bool shares_core = std::ranges::any_of(
      load, [&](unsigned core) { return !of_server.empty() && physical_core(core) == of_server; });
  if (shares_core) result += "; they share a physical core";
  return result + distance(server.front(), load);
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
  const unsigned of_server = usable.front();
  const core_set others{usable.begin() + 1, usable.end()};
  // Not on the other half of the server's own physical core, where there are more.
  core_set apart = others;
  const std::string siblings = physical_core(of_server);
  std::erase_if(
      apart, [&](unsigned core) { return !siblings.empty() && physical_core(core) == siblings; });
  return {{of_server}, apart.empty() ? others : apart};
}

bool bind_to(const core_set& cores) noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const unsigned core : cores) CPU_SET(core, &set);
  return ::sched_setaffinity(0, sizeof set, &set) == 0;
}

}  // namespace weft::compare
