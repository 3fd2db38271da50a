// What a client process counted: the raw numbers of the report.
//
// Threads: written by one client process; read by the parent once that process has said it is done.
// Trivially copyable, so that it can live in memory shared by the two.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

#include "histogram.hpp"

namespace weft::load {

/// How an operation on a connection ended: 0 well, otherwise an error number or one of these.
namespace outcome {
inline constexpr int good = 0;
inline constexpr int closed_by_peer = 200;  // above every error number of Linux (133)
inline constexpr int unanswered = 201;      // no reply came to a message in all the time given
inline constexpr int last = 201;
}  // namespace outcome

/// Returns the name of an outcome: `closed_by_peer`, `unanswered`, or as `ECONNRESET`.
std::string name_of_outcome(int code);

struct tally {
  // The whole life of the connections, the connect phase and the warm-up included.
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t corrupt_bytes = 0;    ///< differed from what was sent, or came unasked
  std::uint64_t messages_total = 0;   ///< messages that came back whole
  std::uint64_t opened = 0;           ///< connections on which a first message came back
  std::uint64_t lost = 0;             ///< connections that broke after that; churn: exchanges
  std::uint64_t slow_connects = 0;    ///< took over 0.5 s: their SYN was dropped and sent again
  std::uint64_t connect_retries = 0;  ///< connects again after a full backlog of a UNIX socket
  std::array<std::uint64_t, outcome::last + 1> errors{};

  // The measured time alone.
  std::uint64_t completed = 0;    ///< messages that came back whole in it
  std::uint64_t overdue = 0;      ///< open loop: of these, were to start before it
  std::uint64_t intended = 0;     ///< open loop: messages whose start was due in it
  std::uint64_t late_starts = 0;  ///< open loop: of these, started more than 1 ms late
  std::uint64_t unfinished = 0;   ///< open loop: of these, did not come back
  std::uint64_t unsent = 0;       ///< open loop: of the unfinished, never left the client
  std::chrono::nanoseconds measured{};
  double cpu_fraction = 0;   ///< of the measured time, in which the client process ran
  double wait_fraction = 0;  ///< and in which it could have run, but other work had the core
  std::chrono::nanoseconds server_cpu{};  ///< that the server used; 0 unless it is known
  histogram latency;  ///< closed loop: of those completed; open loop: of those intended, the
                      ///< unfinished with the time for which they were waited for

  std::chrono::nanoseconds connect_time{};  ///< from the first connect to the last first reply

  void count_error(int code) noexcept { ++errors[static_cast<std::size_t>(code)]; }

  /// Adds what another client process counted beside this one; of the times the longer counts, of
  /// the CPU fractions those of the busier process.
  void add(const tally& other) noexcept;
};

static_assert(std::is_trivially_copyable_v<tally>);

}  // namespace weft::load
