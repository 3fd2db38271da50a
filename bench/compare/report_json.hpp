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
///   mitigations {weakness: state}, commit}; settings {rounds, seconds, warm_up, warm_up_rounds,
///   seed};
/// servers [{server, style, waits_by, buffer, stack, lines_of_code, sources [path]}];
/// capacities {case: messages a second of the callbacks at full speed};
/// warm_up_rounds, rounds: that are complete; interrupted, out_of_time: whether that ended the run
///   early;
/// cells: an object for each case and server: server, style, case, title, kind (echo, churn, idle,
///   parked, spawn, chain), connections (tasks, calls), message_bytes, depth, rate_percent (0: at
///   full speed), rounds (samples used), then the medians, null where the case does not measure
///   them: cpu_ns_per_request (per connection, task or chain of calls), allocations_per_request,
///   requests_per_second, offered_per_second, p50_us, p99_us, p999_us, max_us,
///   rss_bytes_per_connection (or task), kernel_bytes_per_connection (both ends of a connection),
///   mappings_per_connection, server_threads, server_cpu_fraction, client_cpu_fraction; intervals
///   {metric: {low, high, confidence}}; ratio_to_callbacks of the CPU time, for tasks
///   ratio_to_fibers of the CPU time or the memory, {median, low, high, confidence, pairs, equal}
///   or null; valid {cpu, throughput, latency, memory}; client_bottleneck, behind (fewer messages
///   than offered), disturbed, failed and starved (samples without numbers), failure (a line, or
///   null), command (that measures it again);
/// skipped [{case, reason}];
/// samples: the raw ones, in the order in which they were taken, with those that were measured
/// again
///   behind them (used: false).
std::string json_report(const options& settings, const environment& where, const core_plan& cores,
                        const plan& wanted, const campaign_result& measured,
                        const std::vector<cell>& cells);

}  // namespace weft::compare
