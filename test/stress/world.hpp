// The things that the tasks of a stress run share, and what must hold of them when all have ended.
//
// Every operation counts what it has done, also when it was cancelled or timed out in the middle;
// check() compares the counts with what the things hold. Threads: fibers of any worker and plain
// threads use it; it is made and checked by one of them, alone.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <random>
#include <string>
#include <system_error>
#include <vector>

#include <weft/fiber.hpp>
#include <weft/net.hpp>

namespace weft::test::stress {

/// The randomness of one task.
class dice {
public:
  explicit dice(std::uint64_t seed) : engine_(seed) {}

  std::size_t below(std::size_t bound) { return engine_() % bound; }

  bool once_in(std::size_t times) { return below(times) == 0; }

  /// Often nothing at all, sometimes negative.
  std::chrono::microseconds short_time() {
    return std::chrono::microseconds{static_cast<std::int64_t>(below(2'000)) - 200};
  }

private:
  std::mt19937_64 engine_;
};

/// A mutex and what it guards.
struct guarded {
  weft::mutex lock;
  std::uint64_t additions = 0;              // not atomic: a race would lose one
  std::atomic<std::uint64_t> expected = 0;  // additions that were made
};

/// Permits, of which there are never more in use than there are.
struct permits {
  static constexpr std::size_t total = 2;

  semaphore free{total};
  std::atomic<std::size_t> in_use = 0;
  std::atomic<bool> too_many = false;
};

/// A channel of distinct numbers.
struct pipe_of_numbers {
  explicit pipe_of_numbers(std::size_t capacity) : numbers(capacity) {}

  channel<std::uint64_t> numbers;
  std::atomic<std::uint64_t> next = 1;
  std::atomic<std::uint64_t> sent = 0, sum_sent = 0;
  std::atomic<std::uint64_t> received = 0, sum_received = 0;
};

/// Tokens that are handed out under a condition.
struct tokens {
  weft::mutex lock;
  condition_variable more;
  std::uint64_t there = 0;
  std::atomic<std::uint64_t> made = 0, taken = 0;
};

/// A connection of which either end is used by whoever comes.
struct connection {
  connection();

  net::socket in, out;
  std::atomic<std::uint64_t> written = 0, read = 0;
};

/// Something to wait for that happens again and again.
struct happening {
  event now;
};

class world {
public:
  world();

  /// Does one random thing, which ends within milliseconds or when its task is cancelled.
  void act(dice& random);

  /// Ends what would keep tasks waiting and takes out what is still in the things.
  /// Returns what is wrong, one line each; empty if nothing is. All tasks have ended.
  std::vector<std::string> check();

private:
  void add(dice& random);
  void hold_permit(dice& random);
  void send(dice& random);
  void receive(dice& random);
  void make_token(dice& random);
  void take_token(dice& random);
  void write(dice& random);
  void read(dice& random);
  void await_happening(dice& random);
  static void run_children(dice& random);
  static void sleep(dice& random);

  std::array<guarded, 2> guarded_;
  permits permits_;
  std::deque<pipe_of_numbers> pipes_;
  tokens tokens_;
  std::array<connection, 2> connections_;
  happening happening_;
};

}  // namespace weft::test::stress
