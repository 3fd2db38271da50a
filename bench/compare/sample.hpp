// One measurement of one server in one case: the raw data of the comparison.
//
// Threads: a plain value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace weft::compare {

struct sample {
  std::string case_name;
  std::string server;
  std::uint32_t round = 0;    ///< from 1
  std::uint32_t attempt = 1;  ///< 2 when the first one was disturbed

  /// Why there are no numbers below, in one line; empty when there are.
  std::string error;
  /// That is because others left no CPU time for a single message: nobody's failure.
  bool starved = false;

  // What a case does not measure has no value.
  std::optional<double> cpu_ns_per_request;       ///< churn: of a connection; of a task, or a chain
  std::optional<double> allocations_per_request;  ///< of tasks and chains alone
  std::optional<double> requests_per_second;
  std::optional<double> p50_us;
  std::optional<double> p90_us;
  std::optional<double> p99_us;
  std::optional<double> p999_us;
  std::optional<double> max_us;
  std::optional<double> rss_bytes_per_connection;     ///< or of a parked task
  std::optional<double> kernel_bytes_per_connection;  ///< of both ends of the connection
  std::optional<double> mappings_per_connection;      ///< of memory, of a parked task alone
  std::optional<double> server_cpu_fraction;          ///< of a core, in the measured time
  std::optional<double> server_threads;               ///< with its connections idle, or tasks
  std::optional<double> offered_per_second;           ///< where the rate of messages is fixed

  double seconds = 0;               ///< that were measured
  std::uint64_t requests = 0;       ///< in that time
  double client_cpu_fraction = 0;   ///< of a core, of the busiest client process
  double client_wait_fraction = 0;  ///< in which it could have run, but other work had its core
  bool client_bottleneck = false;
  double strangers_cpu_fraction = 0;  ///< of a core: what others used of our cores meanwhile
  bool disturbed = false;             ///< they used so much that the sample tells little
};

}  // namespace weft::compare
