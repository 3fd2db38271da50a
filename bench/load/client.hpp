// One client process: its share of the connections, from the first connect to the last close.
//
// Threads: runs on the only thread of a process of its own.
#pragma once

#include <chrono>
#include <cstdint>
#include <ctime>
#include <optional>
#include <span>
#include <stdexcept>
#include <vector>

#include "connection.hpp"
#include "control.hpp"
#include "event_queue.hpp"
#include "options.hpp"
#include "pattern.hpp"
#include "source_addresses.hpp"

namespace weft::load {

/// Why a client could not run, in one line.
class run_failure : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

/// The part of the connections that one client process has.
struct share {
  std::uint32_t client = 0;
  std::uint32_t first = 0;
  std::uint32_t count = 0;

  /// Deals the connections out evenly.
  static share of(const options& settings, std::uint32_t client) noexcept;
};

/// What the phases of a client work on.
class client_state {
public:
  client_state(const options& settings, share mine, parent_link& parent, shared_slot& slot);
  client_state(const client_state&) = delete;
  client_state& operator=(const client_state&) = delete;

  /// Makes a socket for `c` and starts to connect. Returns an outcome; the socket is there only
  /// when that is good.
  int open(connection& c);

  /// Closes the socket of `c`, if it has one.
  void close(connection& c) noexcept;

  /// Counts what broke `c`, which carried messages before, and closes it.
  void lose(connection& c, int code) noexcept;

  /// Shows the parent how far the client is.
  void publish(std::uint64_t live_connections) noexcept;

  const options& settings;
  const share mine;
  parent_link& parent;
  shared_slot& slot;
  tally& counts;
  pattern bytes;
  event_queue queue;
  source_addresses sources;
  message_io io;
  std::vector<connection> connections;

private:
  std::vector<time_point> starts_;  // the rings of all connections, so that nothing else allocates
};

/// What the scheduler says of this process.
struct cpu_times {
  std::chrono::nanoseconds ran{};
  std::chrono::nanoseconds waited{};  // runnable, while other work had the core

  static cpu_times now() noexcept;
};

/// Takes the CPU time of this process, and of the server where its number is known, over the
/// measured time: at the moments between which the messages are counted, so that the one may be
/// divided by the other.
class cpu_meter {
public:
  explicit cpu_meter(const options& settings) noexcept;

  /// To be told the time after every batch; notes when `measured` has begun.
  void watch(const window& measured, time_point now) noexcept {
    if (!begun_ && now >= measured.begin) begin();
  }

  bool begun() const noexcept { return begun_; }

  /// Takes the CPU time up to now, as a fraction of the time up to now, which may be later than the
  /// end of the measured time when the process is busy. Does nothing when it had not begun.
  void end(tally& counts) noexcept;

private:
  void begin() noexcept;

  /// Returns the CPU time of the server; 0 if that is not known, or no longer.
  std::chrono::nanoseconds server_cpu() const noexcept;

  std::optional<clockid_t> server_clock_;
  std::chrono::nanoseconds server_cpu_at_begin_{};
  bool begun_ = false;
  time_point since_{};
  cpu_times at_begin_;
};

/// Runs the client to its end. Returns the exit code of its process; what it counted is in `slot`.
int run_client(const options& settings, share mine, int control_fd, shared_slot& slot);

}  // namespace weft::load
