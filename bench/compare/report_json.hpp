// The comparison as one JSON object: all raw samples and what they say together.
#pragma once

#include <string>
#include <vector>

#include "campaign.hpp"
#include "cores.hpp"
#include "environment.hpp"
#include "options.hpp"
#include "plan.hpp"
#include "summary.hpp"

namespace weft::compare {

/// Returns the object as text:
///
/// environment {date, kernel, cpu, cores, core_plan, compiler, flags, build_type, governor,
///   mitigations {weakness: state}, commit}; settings {rounds, seconds, warm_up, seed};
/// rounds: that are complete; interrupted, out_of_time: whether that ended the run early;
/// cells: an object for each case and server: server, style, case, kind (echo, churn, idle),
///   connections, message_bytes, depth, rounds (samples used), then the medians, null where the
///   case does not measure them: cpu_ns_per_request (churn: per connection), requests_per_second,
///   p50_us, p99_us, p999_us, rss_bytes_per_connection, kernel_bytes_per_connection (both ends of a
///   connection), server_cpu_fraction, client_cpu_fraction; intervals {metric: {low, high,
///   confidence}}; ratio_to_callbacks, of the CPU time, {median, low, high, confidence, pairs,
///   equal} or null; valid {cpu, throughput, latency, memory}; client_bottleneck, disturbed, failed
///   (samples), failure (a line, or null);
/// skipped [{case, reason}];
/// samples: the raw ones, in the order in which they were taken, with those that were measured
/// again
///   behind them (used: false).
std::string json_report(const options& settings, const environment& where, const core_plan& cores,
                        const plan& wanted, const campaign_result& measured,
                        const std::vector<cell>& cells);

}  // namespace weft::compare
