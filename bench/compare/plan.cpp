#include "plan.hpp"

#include <fmt/format.h>

#include "proc.hpp"
#include "text.hpp"

namespace weft::compare {
namespace {

// What a server and weft-load have open beside the connections.
constexpr std::uint64_t other_descriptors = 32;

// Returns why a server cannot be measured; empty when it can.
std::string why_missing(const server& what, const options& settings, const std::string& folder) {
  for (const load_case& load : settings.cases) {
    const std::string program = program_of(what, load);
    if (program.empty() || is_program(folder, program)) continue;
    std::string reason = fmt::format("there is no program {} in {}", program, folder);
    if (what.package.empty()) return reason;
    return fmt::format("{}: it needs {}, which `./dev run --peers` installs", reason, what.package);
  }
  return {};
}

}  // namespace

plan make_plan(const options& settings, const std::string& folder) {
  plan result;
  const std::uint64_t limit = descriptor_limit();
  for (const load_case& each : settings.cases) {
    if (is_task_load(each.kind) || each.connections + other_descriptors <= limit) {
      result.cases.push_back(each);
      continue;
    }
    const auto needed = static_cast<std::int64_t>(each.connections + other_descriptors);
    result.skipped_cases.push_back(
        {each.name(), "it needs " + grouped(needed) +
                          " open files, the hard limit (ulimit -Hn) is " +
                          grouped(static_cast<std::int64_t>(limit))});
  }
  for (const server& each : settings.servers) {
    if (const std::string reason = why_missing(each, settings, folder); reason.empty()) {
      result.servers.push_back(each);
    } else {
      result.missing_servers.push_back({each.name, reason});
    }
  }
  return result;
}

std::chrono::duration<double> time_of_round(const plan& wanted, const bench& setup) {
  std::chrono::duration<double> sum{};
  for (const load_case& load : wanted.cases) {
    for (const server& each : wanted.servers) {
      if (plan::has(load, each)) sum += expected_time(setup, load);
    }
  }
  return sum;
}

}  // namespace weft::compare
