// Sleeps that only a cancellation ends, and fibers of task groups that do nothing else.
#pragma once

#include <atomic>
#include <system_error>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>

#include "players.hpp"

namespace weft::test {

/// Returns the error of a wait that only a cancellation ends.
inline std::error_code long_sleep() {
  std::error_code ec;
  this_fiber::sleep_for(std::chrono::hours{24}, ec);
  return ec;
}

/// Fibers that sleep until they are cancelled, and take some turns to end.
class sleepers {
public:
  // Spawns `count` into the group, on `workers` workers, and waits until all sleep.
  void spawn_into(task_group& group, int count = 1, unsigned workers = 1) {
    for (int i = 0; i < count; ++i) {
      group.spawn_on(static_cast<unsigned>(i) % workers, [this] {
        ++started_;
        EXPECT_EQ(long_sleep(), errc::cancelled);
        for (int turn = 0; turn < 10; ++turn) this_fiber::yield();
        ++ended_;
      });
    }
    wait_until([&] { return started_ == count; });
  }

  int started() const { return started_; }

  int ended() const { return ended_; }

private:
  std::atomic<int> started_ = 0;
  std::atomic<int> ended_ = 0;
};

}  // namespace weft::test
