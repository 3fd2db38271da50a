// An echo server on a thread of the test, with faults on demand: the peer of the weft-load tests.
//
// Threads: the server runs on its own thread; the public functions may be called from the test's.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "support/tcp.hpp"

namespace weft::test {

/// What goes wrong, at an offset in the stream of one connection; at `never` it does not.
struct load_faults {
  static constexpr std::uint64_t never = std::numeric_limits<std::uint64_t>::max();

  std::uint64_t connection = 0;      ///< the one concerned, in the order of acceptance
  std::uint64_t flip_at = never;     ///< this byte comes back wrong
  std::uint64_t swallow_at = never;  ///< this byte does not come back
  std::uint64_t double_at = never;   ///< this byte comes back twice
  std::uint64_t close_at = never;    ///< the connection is closed before this byte is echoed
  std::uint64_t swap_from = never;   ///< from here on 0 and 1 each get the other one's bytes
  std::uint64_t stall_at = never;    ///< the server sleeps for `stall` before this byte
  std::chrono::milliseconds stall{0};
};

class load_server {
public:
  /// Listens on a free port of 127.0.0.1.
  explicit load_server(load_faults faults = {});

  /// Listens on the UNIX socket `path`.
  load_server(const std::string& path, load_faults faults);

  load_server(const load_server&) = delete;
  load_server& operator=(const load_server&) = delete;
  ~load_server();

  /// Returns the address as weft-load takes it.
  std::string address() const { return address_; }

  /// Returns how many connections were accepted, and how many bytes came on all of them.
  std::uint64_t accepted() const { return accepted_; }

  std::uint64_t bytes() const { return bytes_; }

  /// Waits until so many bytes have come; false when a watchdog time has passed without.
  bool wait_for_bytes(std::uint64_t count) const;

  /// Returns how many different addresses the TCP connections came from.
  std::size_t sources() const;

  /// Closes every connection as soon as the server's thread gets to it.
  void drop_connections();

private:
  struct peer {
    unique_fd socket;
    std::uint64_t number = 0;
    std::uint64_t offset = 0;  // bytes received
  };

  void serve();
  void accept_connection();
  bool echo(peer& from);
  std::string with_faults(const peer& from, std::string data) const;
  const unique_fd& answer_to(const peer& from) const;

  const load_faults faults_;
  std::string path_;
  unique_fd listener_;
  std::string address_;
  unique_fd wake_;
  std::map<int, peer> peers_;  // the server's thread only
  std::atomic<std::uint64_t> accepted_{0};
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<bool> stop_{false};
  std::atomic<bool> drop_{false};
  mutable std::mutex mutex_;  // guards `sources_`
  std::set<std::uint32_t> sources_;
  std::thread thread_;
};

}  // namespace weft::test
