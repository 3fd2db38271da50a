// What the samples of one server in one case say together.
//
// Threads: pure functions.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "campaign.hpp"
#include "plan.hpp"
#include "sample.hpp"
#include "statistics.hpp"

namespace weft::compare {

/// Which numbers of a cell may be believed.
struct validity {
  bool cpu = false;
  bool throughput = false;  ///< false where the client was the bottleneck: it measures the client
  bool latency = false;     ///< the same
  bool memory = false;
};

/// One server in one case.
struct cell {
  load_case load;
  std::string server;
  std::string failure;        ///< why there is no number at all; empty when there are
  std::string last_error;     ///< of the samples that failed, if any did
  std::size_t failed = 0;     ///< samples without numbers, but for those that were starved
  std::size_t starved = 0;    ///< samples for which others left no CPU time
  std::size_t disturbed = 0;  ///< samples with strangers on the cores, repeated or not
  bool quiet = true;          ///< most of the samples were not disturbed
  bool client_bottleneck = false;

  // Without a value where the case does not measure it.
  std::optional<estimate> cpu_ns_per_request;
  std::optional<estimate> allocations_per_request;
  std::optional<estimate> requests_per_second;
  std::optional<estimate> p50_us;
  std::optional<estimate> p99_us;
  std::optional<estimate> p999_us;
  std::optional<estimate> max_us;
  std::optional<estimate> rss_bytes_per_connection;
  std::optional<estimate> kernel_bytes_per_connection;
  std::optional<estimate> mappings_per_connection;
  std::optional<estimate> server_threads;
  std::optional<estimate> offered_per_second;
  std::optional<estimate> server_cpu_fraction;
  std::optional<estimate> client_cpu_fraction;

  /// CPU time per request, or the memory of a parked task, against the baseline in the same round;
  /// none for that one itself.
  std::optional<estimate> ratio;

  /// Fewer messages than were offered came back: the server, or the load, could not keep up.
  bool behind = false;

  validity valid;
  std::size_t samples = 0;  ///< that the estimates come from
};

/// Returns a cell for each case and server of `wanted`, case by case; the missing servers too.
std::vector<cell> summarise(const plan& wanted, const campaign_result& measured,
                            bool cores_are_shared);

}  // namespace weft::compare
