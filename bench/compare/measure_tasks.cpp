#include "measure_tasks.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "failure.hpp"
#include "strangers.hpp"

namespace weft::compare {
namespace {

using namespace std::chrono_literals;

constexpr auto patience = 60s;  // beside the time that is measured
constexpr auto task_patience = 1ms;

const char* option_of(case_kind kind) {
  switch (kind) {
  case case_kind::parked: return "--parked";
  case case_kind::spawn: return "--spawn";
  default: return "--chain";
  }
}

std::optional<double> number(const nlohmann::json& report, const char* name) {
  const auto found = report.find(name);
  if (found == report.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

void read_report(const std::string& text, sample& result) {
  try {
    const auto report = nlohmann::json::parse(text);
    result.cpu_ns_per_request = number(report, "cpu_ns_per_operation");
    result.allocations_per_request = number(report, "allocations_per_operation");
    result.rss_bytes_per_connection = number(report, "rss_bytes_per_task");
    result.mappings_per_connection = number(report, "mappings_per_task");
    result.server_threads = number(report, "threads");
    result.requests = report.value("operations", std::uint64_t{0});
  } catch (const nlohmann::json::exception& error) {
    throw failure{fmt::format("its report cannot be read: {}", error.what())};
  }
  if (!result.cpu_ns_per_request && !result.rss_bytes_per_connection) {
    throw failure{"its report holds no measurement"};
  }
}

}  // namespace

void measure_tasks(const bench& setup, const load_case& load, const std::string& program,
                   steady::time_point deadline, sample& result) {
  const stranger_watch strangers{setup.cores};
  child tasks{{setup.folder + "/" + program, option_of(load.kind), std::to_string(load.connections),
               "--seconds", fmt::format("{}", setup.seconds.count()), "--warm-up",
               fmt::format("{}", setup.warm_up.count())},
              setup.cores.server,
              child::lines_of::err,
              setup.signals};
  const auto longest = setup.warm_up + setup.seconds + patience + load.connections * task_patience;
  const auto end = tasks.wait(
      std::min(deadline, steady::now() + std::chrono::duration_cast<steady::duration>(longest)));
  if (!end) throw failure{program + " did not end in time"};
  if (end->killed || end->code != 0) {
    throw failure{with_last_words(program + " " + end->text(), tasks)};
  }
  result.strangers_cpu_fraction = strangers.fraction(end->cpu);
  result.disturbed = result.strangers_cpu_fraction > disturbing_fraction;
  result.seconds = setup.seconds.count();
  read_report(tasks.out(), result);
}

}  // namespace weft::compare
