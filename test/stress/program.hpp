// A random program, of which a round of the stress runs several at once.
//
// Threads: each program by one thread, which may start others; an `outcome` by any of them.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace weft::test::stress {

/// The randomness of one task.
class dice {
public:
  explicit dice(std::uint64_t seed) : engine_(seed) {}

  std::size_t below(std::size_t bound) { return engine_() % bound; }

  bool once_in(std::size_t times) { return below(times) == 0; }

  /// The seed of another task.
  std::uint64_t seed() { return engine_(); }

  /// Mostly nothing at all, sometimes negative, now and then long enough to really wait.
  std::chrono::microseconds short_time() {
    if (once_in(40)) return std::chrono::microseconds{below(2'000)};
    return std::chrono::microseconds{static_cast<std::int64_t>(below(60)) - 40};
  }

  /// How long an operation may take: a few microseconds, now and then some milliseconds.
  std::chrono::microseconds limit() {
    return std::chrono::microseconds{once_in(40) ? below(3'000) : below(100)};
  }

private:
  std::mt19937_64 engine_;
};

/// What a program has come to.
class outcome {
public:
  void add_wrong(std::string what) {
    const std::lock_guard hold{lock_};
    wrong_.push_back(std::move(what));
  }

  void expect(bool holds, const char* what) {
    if (!holds) add_wrong(std::string{"it does not hold that "} + what);
  }

  void expect_equal(const std::string& what, std::uint64_t is, std::uint64_t should_be) {
    if (is == should_be) return;
    add_wrong(what + " are " + std::to_string(is) + ", not " + std::to_string(should_be));
  }

  void count_operation() noexcept { operations_.fetch_add(1, std::memory_order_relaxed); }

  std::uint64_t operations() const noexcept { return operations_; }

  /// Once the program has ended.
  const std::vector<std::string>& wrong() const noexcept { return wrong_; }

private:
  std::mutex lock_;  // guards `wrong_`
  std::vector<std::string> wrong_;
  std::atomic<std::uint64_t> operations_ = 0;
};

/// What tasks fail with on purpose.
struct planned_failure : std::exception {
  const char* what() const noexcept override { return "planned"; }
};

/// Whether a task has failed as it may: on purpose, or because it was cancelled or refused.
bool is_expected(const std::exception_ptr& failure) noexcept;

/// How many of something there are: each lives as long as one of what it counts.
class counted {
public:
  explicit counted(std::atomic<std::int64_t>& alive) noexcept : alive_(&alive) { ++*alive_; }

  counted(const counted& other) noexcept : alive_(other.alive_) { ++*alive_; }

  counted& operator=(const counted&) = delete;

  ~counted() { --*alive_; }

private:
  std::atomic<std::int64_t>* alive_;
};

struct program {
  const char* name;
  /// Runs it to its end.
  void (*run)(dice& random, outcome& result);
};

/// All of them.
std::span<const program> all_programs() noexcept;

void play_with_all(dice& random, outcome& result);
void fail_in_groups(dice& random, outcome& result);
void hand_out_handles(dice& random, outcome& result);
void post_to_two_runtimes(dice& random, outcome& result);
void end_in_every_wait(dice& random, outcome& result);
void throw_in_moves(dice& random, outcome& result);

}  // namespace weft::test::stress
