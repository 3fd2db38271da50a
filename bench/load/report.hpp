// What a run shows in the end: a few lines for people, or one JSON object.
#pragma once

#include <string>

#include "conductor.hpp"
#include "options.hpp"

namespace weft::load {

/// A client process that needed a core for more than this fraction of the time is said to be the
/// bottleneck: throughput and latency then tell more about weft-load than about the server.
inline constexpr double bottleneck_fraction = 0.8;

/// Returns the report as lines.
std::string text_report(const options& settings, const run_result& result);

/// Returns the report as one JSON object on one line:
///
/// target, mode (closed, open, churn, idle), connections, message_bytes, depth, clients, rate (null
/// but for the open loop), seconds (measured), warm_up_seconds, connect_seconds;
/// messages: those measured (closed loop and churn: came back in the measured time; open loop: were
///   to start in it and came back; idle: the first exchange of each connection, the connect
///   included);
/// latency_us {p50, p90, p99, p999, max}: of these, in the open loop also of those that did not
///   come back, with the time for which they were waited for: their latency is longer than that;
/// completed: messages that came back in the measured time, whenever they were to start;
/// messages_per_second: the rate of these (idle: 0);
/// messages_total: that came back at all, with connect phase, warm-up and drain;
/// connections_per_second: exchanges of --churn in the measured time, else of the connect phase;
/// bytes_sent, bytes_received: of the whole life of the connections;
/// corrupt_bytes: of these, not what was sent; errors: an object {kind: count};
/// lost: connections that broke during the run (churn: exchanges);
/// slow_connects: connections that took over 0.5 s until the first reply;
/// connect_retries: connects tried again since the backlog of a UNIX socket was full;
/// intended, unfinished, unsent, overdue, late_starts: open loop, else null: messages that were to
///   start in the measured time, how many of them never came back, how many of those never left the
///   client; how many of the completed were to start before that time; how many of the intended
///   started over 1 ms late;
/// server_cpu_ns: CPU time of the process --server-pid over the measured time, null without one;
/// client_cpu_fraction, client_wait_fraction: of the measured time, in which the busiest client
///   process ran, and in which other work had the core it waited for; bottleneck: whether the two
///   are over 0.8 together; interrupted: whether a signal ended the run.
std::string json_report(const options& settings, const run_result& result);

/// Returns the exit code for a run, as --help has it.
int exit_code(const run_result& result);

}  // namespace weft::load
