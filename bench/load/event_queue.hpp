// An epoll descriptor: edge-triggered for connections, level-triggered for the control channel.
//
// Threads: one owner, the loop of a client process; made after the fork, for an epoll descriptor
// must not be shared with another process.
#pragma once

#include <array>
#include <chrono>
#include <optional>
#include <span>
#include <sys/epoll.h>

namespace weft::load {

using clock = std::chrono::steady_clock;  // CLOCK_MONOTONIC: the same in all client processes
using time_point = clock::time_point;

class event_queue {
public:
  /// Errors: throws std::system_error.
  event_queue();
  event_queue(const event_queue&) = delete;
  event_queue& operator=(const event_queue&) = delete;
  ~event_queue();

  /// Watches a connection for everything, edge-triggered and for good; its events carry `tag`.
  void add_connection(int fd, void* tag);

  /// Watches the control channel; its events carry a null tag, and come back until it was read.
  void add_control(int fd);

  /// Waits for events until `deadline`, at once when that has passed and for ever without one.
  /// Returns none when it passed, or when a signal came.
  std::span<const epoll_event> wait(std::optional<time_point> deadline);

private:
  void add(int fd, unsigned events, void* tag);

  int fd_ = -1;
  std::array<epoll_event, 64> events_;  // few, so that pacing is never behind by a long batch
};

}  // namespace weft::load
