// A connection that carries messages, and the sending, receiving and checking of its bytes.
//
// The two know nothing of when messages are to start: the loops decide that. Nothing here
// allocates once the connections exist.
//
// Threads: one owner, the loop of a client process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "event_queue.hpp"
#include "options.hpp"
#include "pattern.hpp"
#include "tally.hpp"

namespace weft::load {

/// Fits a cache line, for with thousands of connections each event finds its own one cold.
struct alignas(64) connection {
  int fd = -1;
  std::uint32_t send_phase = 0;     // in the pattern: of the next byte to send
  std::uint32_t receive_phase = 0;  // and of the next byte that must come back
  std::uint32_t in_flight = 0;      // messages started and not come back whole
  std::uint32_t oldest = 0;         // where in `starts` the oldest of these is
  std::uint32_t partial = 0;        // bytes of the oldest that came back already
  std::uint64_t unsent = 0;         // bytes of started messages that the kernel did not take yet
  std::uint64_t awaited = 0;        // bytes that the kernel took and that did not come back yet
  std::uint64_t round = 0;          // open loop: which of its messages is the next to start
  time_point* starts = nullptr;     // ring of `depth`: when each message in flight was started
};

/// The measured time. A closed loop measures the messages that come back in it, an open loop those
/// that were to start in it.
struct window {
  time_point begin = time_point::max();
  time_point end = time_point::max();

  bool holds(time_point when) const noexcept { return when >= begin && when < end; }
};

class message_io {
public:
  message_io(const options& settings, const pattern& bytes, tally& counts);

  window measured;

  /// Begins the stream of connection number `stream`, without a message in flight.
  void begin(connection& c, std::uint64_t stream) const noexcept;

  /// Starts `count` messages, for which there must be room in `depth`; flush() sends them.
  void start(connection& c, std::uint32_t count, time_point when) const noexcept;

  /// Sends as many of the started bytes as the kernel takes. Returns an outcome.
  int flush(connection& c) noexcept;

  /// Receives and checks what is there. `events` are those of the event queue: without a hint of
  /// an end, an error or urgent data, a short read means that nothing is left. `now` becomes the
  /// time of the last read that brought something. Returns an outcome.
  int receive(connection& c, std::uint32_t events, time_point& now) noexcept;

  /// Counts the messages in flight on `c` that were to start in the measured time as unfinished,
  /// and as unsent if no byte of them has left; their latency up to `now` is the least it can be.
  void count_unanswered(const connection& c, time_point now) const noexcept;

private:
  void take(connection& c, std::size_t size, time_point now) noexcept;
  void complete(connection& c, time_point now) noexcept;

  const pattern& pattern_;
  tally& tally_;
  const std::uint32_t message_bytes_;
  const std::uint32_t depth_;
  const bool by_start_;  // measure by the start of a message instead of its return
  const bool is_tcp_;
  std::vector<std::byte> buffer_;
};

}  // namespace weft::load
