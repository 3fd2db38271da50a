#include "summary.hpp"

#include <algorithm>
#include <map>

namespace weft::compare {
namespace {

using samples = std::vector<const sample*>;

constexpr double kept_up = 0.98;  // of the offered messages

samples select(const campaign_result& measured, const std::string& case_name,
               const std::string& server) {
  samples found;
  for (const sample& each : measured.samples) {
    if (each.case_name == case_name && each.server == server) found.push_back(&each);
  }
  return found;
}

bool without_numbers(const sample* each) { return !each->error.empty(); }

bool starved(const sample* each) { return each->starved; }

bool failed(const sample* each) { return without_numbers(each) && !starved(each); }

bool disturbed(const sample* each) { return each->disturbed; }

std::size_t count_if(const samples& all, bool (*condition)(const sample*)) {
  return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), condition));
}

// Leaves out the disturbed samples, unless that would leave out most.
samples quiet_ones(const samples& all) {
  if (2 * count_if(all, disturbed) > all.size()) return all;
  samples quiet = all;
  std::erase_if(quiet, disturbed);
  return quiet;
}

template <typename Member>
std::optional<estimate> estimate_of(const samples& used, Member member) {
  std::vector<double> values;
  for (const sample* each : used) {
    if (const std::optional<double> value = each->*member) values.push_back(*value);
  }
  if (values.empty()) return std::nullopt;
  return estimate_median(values);
}

std::optional<estimate> client_cpu(const samples& used) {
  std::vector<double> values;
  for (const sample* each : used) values.push_back(each->client_cpu_fraction);
  return estimate_median(values);
}

// Pairs the samples round by round.
template <typename Member>
std::optional<estimate> ratio_of(const samples& used, const samples& baseline, Member member) {
  std::map<std::uint32_t, double> of_baseline;
  for (const sample* each : baseline) {
    if (each->*member) of_baseline[each->round] = *(each->*member);
  }
  std::vector<double> ratios;
  for (const sample* each : used) {
    const auto pair = of_baseline.find(each->round);
    if (!(each->*member) || pair == of_baseline.end() || pair->second <= 0) continue;
    ratios.push_back(*(each->*member) / pair->second);
  }
  if (ratios.empty()) return std::nullopt;
  return estimate_median(ratios);
}

samples usable(const campaign_result& measured, const std::string& case_name,
               const std::string& server) {
  samples all = select(measured, case_name, server);
  std::erase_if(all, without_numbers);
  return quiet_ones(all);
}

void fill_estimates(cell& result, const samples& used) {
  result.cpu_ns_per_request = estimate_of(used, &sample::cpu_ns_per_request);
  result.allocations_per_request = estimate_of(used, &sample::allocations_per_request);
  result.requests_per_second = estimate_of(used, &sample::requests_per_second);
  result.p50_us = estimate_of(used, &sample::p50_us);
  result.p99_us = estimate_of(used, &sample::p99_us);
  result.p999_us = estimate_of(used, &sample::p999_us);
  result.max_us = estimate_of(used, &sample::max_us);
  result.rss_bytes_per_connection = estimate_of(used, &sample::rss_bytes_per_connection);
  result.kernel_bytes_per_connection = estimate_of(used, &sample::kernel_bytes_per_connection);
  result.mappings_per_connection = estimate_of(used, &sample::mappings_per_connection);
  result.server_threads = estimate_of(used, &sample::server_threads);
  result.offered_per_second = estimate_of(used, &sample::offered_per_second);
  result.server_cpu_fraction = estimate_of(used, &sample::server_cpu_fraction);
  result.client_cpu_fraction = client_cpu(used);
}

void fill_validity(cell& result, const samples& used, bool cores_are_shared) {
  const std::size_t slow =
      count_if(used, [](const sample* each) { return each->client_bottleneck; });
  result.client_bottleneck = 2 * slow > used.size();
  result.quiet = 2 * count_if(used, disturbed) <= used.size();
  const bool measures_server = result.quiet && !result.client_bottleneck && !cores_are_shared;
  result.valid.cpu = result.quiet && result.cpu_ns_per_request.has_value();
  result.valid.throughput = measures_server && result.requests_per_second.has_value();
  result.valid.latency = measures_server && result.p50_us.has_value();
  result.valid.memory = result.quiet && result.rss_bytes_per_connection.has_value();
  result.behind = result.offered_per_second && result.requests_per_second &&
                  result.requests_per_second->median < kept_up * result.offered_per_second->median;
}

cell summarise_one(const load_case& load, const std::string& server,
                   const campaign_result& measured, bool cores_are_shared) {
  cell result;
  result.load = load;
  result.server = server;
  const samples all = select(measured, load.name(), server);
  result.failed = count_if(all, failed);
  result.starved = count_if(all, starved);
  result.disturbed = count_if(all, disturbed);
  for (const sample* each : all) {
    if (without_numbers(each)) result.last_error = each->error;
  }
  const samples used = usable(measured, load.name(), server);
  result.samples = used.size();
  if (used.empty()) {
    result.failure = all.empty() ? "not measured before the end of the run" : result.last_error;
    return result;
  }
  fill_estimates(result, used);
  fill_validity(result, used, cores_are_shared);
  if (const std::string baseline = baseline_of(load); server != baseline) {
    const samples others = usable(measured, load.name(), baseline);
    result.ratio = load.kind == case_kind::parked
                       ? ratio_of(used, others, &sample::rss_bytes_per_connection)
                       : ratio_of(used, others, &sample::cpu_ns_per_request);
  }
  return result;
}

}  // namespace

std::vector<cell> summarise(const plan& wanted, const campaign_result& measured,
                            bool cores_are_shared) {
  std::vector<cell> cells;
  for (const load_case& load : wanted.cases) {
    for (const server& each : wanted.servers) {
      if (!plan::has(load, each)) continue;
      cells.push_back(summarise_one(load, each.name, measured, cores_are_shared));
    }
    for (const omission& each : wanted.missing_servers) {
      if (!plan::has(load, find_server(each.name))) continue;
      cell missing;
      missing.load = load;
      missing.server = each.name;
      missing.failure = each.reason;
      cells.push_back(std::move(missing));
    }
  }
  return cells;
}

}  // namespace weft::compare
