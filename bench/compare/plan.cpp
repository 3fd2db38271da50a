#include "plan.hpp"

#include "proc.hpp"
#include "text.hpp"

namespace weft::compare {
namespace {

// What a server and weft-load have open beside the connections.
constexpr std::uint64_t other_descriptors = 32;

}  // namespace

plan make_plan(const options& settings, const std::string& folder) {
  plan result;
  const std::uint64_t limit = descriptor_limit();
  for (const load_case& each : settings.cases) {
    if (each.connections + other_descriptors <= limit) {
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
    if (is_program(folder, each.name)) {
      result.servers.push_back(each);
    } else {
      result.missing_servers.push_back(
          {each.name, "there is no program " + each.name + " in " + folder});
    }
  }
  return result;
}

std::chrono::duration<double> time_of_round(const plan& wanted, const bench& setup) {
  std::chrono::duration<double> sum{};
  for (const load_case& each : wanted.cases) sum += expected_time(setup, each);
  return sum * static_cast<double>(wanted.servers.size());
}

}  // namespace weft::compare
