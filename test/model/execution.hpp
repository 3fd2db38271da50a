// One run of a model: threads of which exactly one runs at a time, and a strategy that chooses
// which at each access to an atomic and wherever one has to wait.
//
// Time is the run's own: it stands still, and jumps to the deadline of a sleeper that the strategy
// lets pass. A run in which nobody can go on, or that does not end, has failed. What fails a run
// writes why, the name of the schedule and the trace to stderr, and ends the process with exit code
// 1: threads stopped in the middle cannot be unwound.
// Threads: what a class does not say otherwise is for the threads of the run, each for itself.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <source_location>
#include <string>

#include "strategy.hpp"

namespace weft::model {

using time_point = std::chrono::steady_clock::time_point;

/// The thread that makes one, the only one at a time, starts it and waits for its end.
class execution {
public:
  /// `model` and `how` are named when the run fails.
  execution(std::string model, strategy& how);
  execution(const execution&) = delete;
  execution& operator=(const execution&) = delete;
  ~execution();

  /// Adds a thread; to be called before go().
  void thread(const char* name, std::function<void()> body);

  /// Runs the threads, and those that they start, until all have ended.
  void go();

  /// How many accesses and waits it took, and a number that tells schedules apart.
  std::size_t steps() const noexcept;
  std::uint64_t fingerprint() const noexcept;
};

/// Fails the run unless `holds`; `what` says what should.
void check(bool holds, const char* what,
           const std::source_location& where = std::source_location::current()) noexcept;

/// Fails the run under way; without one, ends the process all the same.
[[noreturn]] void fail(const std::string& why) noexcept;

/// Puts a line into the trace.
void say(const char* what, std::uint64_t value = 0,
         const std::source_location& where = std::source_location::current()) noexcept;

/// Returns what the calling thread's last load found, if that was of `object`; else 0.
std::uint64_t last_loaded(const void* object) noexcept;

/// Returns the time of the run; it goes on where the last one ended.
time_point now() noexcept;

/// Tells whether the calling thread belongs to a run.
bool in_run() noexcept;

// ---- waiting, for what stands in for the system ------------------------------------------------

enum class sleep_kind : std::uint8_t {
  futex,       // until somebody wakes the futex at the address
  change,      // until the atomic at the address is written
  any_change,  // until any atomic is written
  end,         // until the thread whose record is at the address has ended
  poll,        // until the simulated kernel wakes who polls the object at the address
};

/// Sleeps until somebody calls wake() for the same, at most until `deadline`; false if that passed.
/// What lies more than half a second ahead is housekeeping, which a run does not wait for.
bool sleep(sleep_kind kind, std::uint64_t key, time_point deadline,
           const std::source_location& where = std::source_location::current()) noexcept;
/// Lets at most `count` of those go on.
void wake(sleep_kind kind, std::uint64_t key, std::size_t count) noexcept;

inline std::uint64_t key_of(const void* address) noexcept {
  return reinterpret_cast<std::uintptr_t>(address);
}

// ---- threads that a thread of the run starts ---------------------------------------------------

struct thread_record;

/// Enters a thread that is about to be started.
thread_record& announce_thread(const char* name);
/// What the new thread calls first, and last.
void begin_thread(thread_record& mine) noexcept;
void end_thread() noexcept;
/// Waits for the end of that thread.
void await_thread(const thread_record& other) noexcept;

}  // namespace weft::model
