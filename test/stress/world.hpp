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
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <weft/co.hpp>
#include <weft/net.hpp>

#include "stress/program.hpp"

namespace weft::test::stress {

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
  // So that the next one has to wait. The lock is held.
  void take_all() { taken += std::exchange(there, 0); }

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
  /// The same as a coroutine.
  co::task<> co_act(dice& random);

  /// Does something that never waits, and may end the wait of another.
  void nudge(dice& random);

  /// Closes one of the channels, for good.
  void close_one(dice& random) { pipes_[random.below(pipes_.size())].numbers.close(); }

  /// Ends what would keep tasks waiting, takes out what is still in the things and tells `result`
  /// what is wrong. All tasks have ended.
  void check(outcome& result);

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
  void run_coroutine(dice& random);
  static void run_children(dice& random);
  static void sleep(dice& random);
  void note_received(pipe_of_numbers& pipe, std::optional<std::uint64_t> number);

  // Coroutines of one thing each, in co_world.cpp.
  co::task<> co_do_one(dice& random);
  co::task<> co_add(dice& random);
  co::task<> co_hold_permit(dice& random);
  co::task<> co_send(dice& random);
  co::task<> co_receive(dice& random);
  co::task<> co_take_token(dice& random);
  co::task<> co_use_connection(dice& random);
  co::task<> co_await_happening(dice& random);
  // And of several at once.
  co::task<std::uint64_t> co_compete(std::uint64_t seed);
  co::async_generator<std::uint64_t> co_generate(dice& random);
  co::task<> co_race(dice& random);
  co::task<> co_do_all(dice& random);
  co::task<> co_consume(dice& random);
  co::task<> co_run_children(dice& random);
  co::task<> co_give_up(dice& random);

  std::array<guarded, 2> guarded_;
  permits permits_;
  std::deque<pipe_of_numbers> pipes_;
  tokens tokens_;
  std::array<connection, 2> connections_;
  happening happening_;
  // What coroutines came to and should not have.
  std::atomic<std::uint64_t> wrong_results_ = 0;
};

}  // namespace weft::test::stress
