// What the parent and its client processes say to each other, and the memory they share.
//
// A client reports that it is connected, that it is done, or that it could not run; the parent says
// when to start, and when to stop early. Each client has a socket pair with the parent, so either
// side also notices at once when the other has died.
//
// Threads: each end has one owner, the only thread of its process.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "event_queue.hpp"
#include "tally.hpp"

namespace weft::load {

/// What a client process and its parent share; read by the parent while the client writes it.
struct shared_slot {
  // Both written by the client with relaxed stores, for the parent's progress line alone.
  std::atomic<std::uint64_t> live_connections{0};
  std::atomic<std::uint64_t> live_messages{0};
  tally result;  // the parent reads it only after the client's `done`
};

static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

enum class client_says : std::uint32_t { connected, done, failed };

struct client_message {
  client_says what{};
  std::array<char, 508> text{};  // of `failed`: one line, zero at its end
};

enum class parent_says : std::uint32_t { start, stop };

struct parent_message {
  parent_says what{};
  time_point when{};  // of `start`: when the warm-up begins
};

/// The client's end.
class parent_link {
public:
  explicit parent_link(int fd) noexcept : fd_(fd) {}

  int fd() const noexcept { return fd_; }

  /// Tells the parent; ends this process when the parent is gone.
  void say(client_says what, std::string_view text = {});

  /// Waits until the parent says when to start; nothing when it says to stop.
  std::optional<time_point> wait_for_start();

  /// Tells whether the parent has said to stop; to be asked when the descriptor is readable.
  bool stop_requested();

private:
  int fd_;
};

}  // namespace weft::load
