#include "report_json.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "source_texts.hpp"

namespace weft::compare {
namespace {

using json = nlohmann::ordered_json;

const char* name_of(case_kind kind) {
  switch (kind) {
  case case_kind::echo: return "echo";
  case case_kind::churn: return "churn";
  case case_kind::idle: return "idle";
  case case_kind::parked: return "parked";
  case case_kind::spawn: return "spawn";
  case case_kind::chain: return "chain";
  }
  return "unknown";
}

json or_null(const std::optional<double>& value) { return value ? json(*value) : json(nullptr); }

json or_null(const std::string& text) { return text.empty() ? json(nullptr) : json(text); }

json environment_object(const environment& where, const core_plan& cores) {
  return {{"date", where.date},         {"kernel", where.kernel},
          {"cpu", where.cpu},           {"cores", where.cores},
          {"core_plan", cores.text()},  {"compiler", where.compiler},
          {"flags", where.flags},       {"build_type", where.build_type},
          {"governor", where.governor}, {"mitigations", where.mitigations},
          {"commit", where.commit},     {"packages", where.packages}};
}

json settings_object(const options& settings) {
  return {{"rounds", settings.rounds},
          {"seconds", settings.seconds.count()},
          {"warm_up", settings.warm_up.count()},
          {"warm_up_rounds", settings.warm_up_rounds},
          {"seed", settings.seed}};
}

json server_object(const server& each) {
  return {{"server", each.name},
          {"style", each.style},
          {"waits_by", each.waits_by},
          {"buffer", each.buffer},
          {"stack", each.stack},
          {"socket_options", each.options},
          {"lines_of_code", lines_of_code(each.sources)},
          {"sources", each.sources},
          {"shared_sources", each.shared}};
}

// What measures a cell again, alone with what it is measured against.
std::string command_of(const options& settings, const cell& each) {
  const std::string baseline = baseline_of(each.load);
  return fmt::format("build/release/bin/weft-compare --cases {} --only {}{} --rounds {} "
                     "--warm-up-rounds {} --seconds {} --warm-up {} --seed {}",
                     each.load.name(), each.server == baseline ? "" : baseline + ",", each.server,
                     settings.rounds, settings.warm_up_rounds, settings.seconds.count(),
                     settings.warm_up.count(), settings.seed);
}

// Writes a median into the cell and its interval beside the others.
void add_estimate(json& cell_object, const char* name, const std::optional<estimate>& value) {
  cell_object[name] = value ? json(value->median) : json(nullptr);
  if (!value) return;
  cell_object["intervals"][name] = {
      {"low", value->low}, {"high", value->high}, {"confidence", value->confidence}};
}

json ratio_object(const std::optional<estimate>& ratio) {
  if (!ratio) return nullptr;
  return {{"median", ratio->median},         {"low", ratio->low},     {"high", ratio->high},
          {"confidence", ratio->confidence}, {"pairs", ratio->count}, {"equal", ratio->may_be(1)}};
}

json cell_object(const options& settings, const cell& each) {
  json object;
  object["server"] = each.server;
  object["style"] = find_server(each.server).style;
  object["case"] = each.load.name();
  object["title"] = each.load.title();
  object["kind"] = name_of(each.load.kind);
  object["connections"] = each.load.connections;
  object["message_bytes"] = each.load.message_bytes;
  object["depth"] = each.load.depth;
  object["rate_percent"] = each.load.rate_percent;
  object["rounds"] = each.samples;
  object["intervals"] = json::object();
  add_estimate(object, "cpu_ns_per_request", each.cpu_ns_per_request);
  add_estimate(object, "allocations_per_request", each.allocations_per_request);
  add_estimate(object, "requests_per_second", each.requests_per_second);
  add_estimate(object, "offered_per_second", each.offered_per_second);
  add_estimate(object, "p50_us", each.p50_us);
  add_estimate(object, "p99_us", each.p99_us);
  add_estimate(object, "p999_us", each.p999_us);
  add_estimate(object, "max_us", each.max_us);
  add_estimate(object, "rss_bytes_per_connection", each.rss_bytes_per_connection);
  add_estimate(object, "kernel_bytes_per_connection", each.kernel_bytes_per_connection);
  add_estimate(object, "mappings_per_connection", each.mappings_per_connection);
  add_estimate(object, "server_threads", each.server_threads);
  add_estimate(object, "server_cpu_fraction", each.server_cpu_fraction);
  add_estimate(object, "client_cpu_fraction", each.client_cpu_fraction);
  const bool tasks = is_task_load(each.load.kind);
  object["ratio_to_callbacks"] = tasks ? json(nullptr) : ratio_object(each.ratio);
  object["ratio_to_fibers"] = tasks ? ratio_object(each.ratio) : json(nullptr);
  object["valid"] = {{"cpu", each.valid.cpu},
                     {"throughput", each.valid.throughput},
                     {"latency", each.valid.latency},
                     {"memory", each.valid.memory}};
  object["client_bottleneck"] = each.client_bottleneck;
  object["behind"] = each.behind;
  object["disturbed"] = each.disturbed;
  object["failed"] = each.failed;
  object["starved"] = each.starved;
  object["failure"] = or_null(each.failure);
  object["last_error"] = or_null(each.last_error);
  object["command"] = command_of(settings, each);
  return object;
}

json sample_object(const sample& each, bool used) {
  return {{"case", each.case_name},
          {"server", each.server},
          {"round", each.round},
          {"attempt", each.attempt},
          {"used", used},
          {"error", or_null(each.error)},
          {"starved", each.starved},
          {"cpu_ns_per_request", or_null(each.cpu_ns_per_request)},
          {"allocations_per_request", or_null(each.allocations_per_request)},
          {"requests_per_second", or_null(each.requests_per_second)},
          {"offered_per_second", or_null(each.offered_per_second)},
          {"p50_us", or_null(each.p50_us)},
          {"p90_us", or_null(each.p90_us)},
          {"p99_us", or_null(each.p99_us)},
          {"p999_us", or_null(each.p999_us)},
          {"max_us", or_null(each.max_us)},
          {"rss_bytes_per_connection", or_null(each.rss_bytes_per_connection)},
          {"kernel_bytes_per_connection", or_null(each.kernel_bytes_per_connection)},
          {"mappings_per_connection", or_null(each.mappings_per_connection)},
          {"server_threads", or_null(each.server_threads)},
          {"server_cpu_fraction", or_null(each.server_cpu_fraction)},
          {"client_cpu_fraction", each.client_cpu_fraction},
          {"client_wait_fraction", each.client_wait_fraction},
          {"client_bottleneck", each.client_bottleneck},
          {"strangers_cpu_fraction", each.strangers_cpu_fraction},
          {"disturbed", each.disturbed},
          {"seconds", each.seconds},
          {"requests", each.requests}};
}

}  // namespace

std::string json_report(const options& settings, const environment& where, const core_plan& cores,
                        const plan& wanted, const campaign_result& measured,
                        const std::vector<cell>& cells) {
  json report;
  report["environment"] = environment_object(where, cores);
  report["settings"] = settings_object(settings);
  report["servers"] = json::array();
  for (const server& each : settings.servers) report["servers"].push_back(server_object(each));
  report["capacities"] = measured.capacities;
  report["warm_up_rounds"] = measured.warm_up_rounds;
  report["rounds"] = measured.rounds;
  report["interrupted"] = measured.stopped_by != 0;
  report["out_of_time"] = measured.out_of_time;
  report["cells"] = json::array();
  for (const cell& each : cells) report["cells"].push_back(cell_object(settings, each));
  report["skipped"] = json::array();
  for (const omission& each : wanted.skipped_cases) {
    report["skipped"].push_back({{"case", each.name}, {"reason", each.reason}});
  }
  report["samples"] = json::array();
  for (const sample& each : measured.samples)
    report["samples"].push_back(sample_object(each, true));
  for (const sample& each : measured.replaced) {
    report["samples"].push_back(sample_object(each, false));
  }
  return report.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace weft::compare
