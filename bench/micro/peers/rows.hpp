// The table of what weft costs beside its peers: its rows, and how a peer fills its column.
//
// A bench of the table is called ROW/PEER. Rows of the same name do the same, in the style of each
// peer; doc/benches.md says what, and with which settings.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

namespace weft::bench {

/// ns of CPU of an operation, but for the last, which is bytes of memory of a task.
namespace row {
inline constexpr const char* yield_2 = "yield_among_2";
inline constexpr const char* yield_100 = "yield_among_100";
inline constexpr const char* yield_10000 = "yield_among_10000";
inline constexpr const char* yield_10000_random = "yield_among_10000_in_random_order";
inline constexpr const char* spawn_and_join = "spawn_and_join_one_by_one";
inline constexpr const char* spawn_and_join_1000 = "spawn_and_join_1000_at_once";
inline constexpr const char* unbuffered = "round_trip_over_unbuffered_channels";
inline constexpr const char* buffered = "item_through_a_channel_of_64";
inline constexpr const char* mutex = "hand_off_of_a_mutex_among_4";
inline constexpr const char* sleep_10000 = "sleep_of_10000_sleepers";
inline constexpr const char* sleep_100000 = "sleep_of_100000_sleepers";
inline constexpr const char* parked = "memory_of_a_parked_task_of_10000";

inline constexpr std::array all{
    yield_2,    yield_100, yield_10000, yield_10000_random, spawn_and_join, spawn_and_join_1000,
    unbuffered, buffered,  mutex,       sleep_10000,        sleep_100000,   parked};
}  // namespace row

inline constexpr std::size_t many = 1'000;  // tasks of `spawn_and_join_1000`
inline constexpr std::size_t channel_capacity = 64;
inline constexpr std::size_t mutex_users = 4;
// Of the programs in bench/compare/tasks/.
inline constexpr const char* parked_arguments = "--parked 10000";
inline constexpr const char* parked_key = "rss_bytes_per_task";
inline constexpr std::size_t stack_bytes = std::size_t{64} * 1024;  // where the peer lets us choose

using measurement = std::function<void(benchmark::State&)>;

/// Adds a bench that runs on a thread of its own, which ends with it: schedulers that belong to a
/// thread then do not meet, and libc knows of a second thread in all of them. Its label is the
/// MXCSR at its start.
benchmark::internal::Benchmark* add(const char* row, const char* peer, measurement measure);

/// Adds one that runs this program again, for a figure that needs a process of its own: `measure`
/// returns it, in ns, or in bytes for `row::parked`.
void add_in_process(const char* row, const char* peer, std::function<double()> measure);

/// Adds one whose figure is what `program`, which lies beside this one, prints as a member `key` of
/// a JSON object. Where it is not there, the row says that `package` is not installed.
void add_program(const char* row, const char* peer, const std::string& program,
                 const std::string& arguments, const std::string& key, const char* package);

/// Adds all rows for a peer whose Debian package was not there when this was built.
void add_missing(const char* peer, const char* package);

/// Measures in this process what add_in_process() was given for ROW/PEER, and prints the figure.
/// Returns the exit code.
int measure_in_this_process(const std::string& name);

// ---- what the peers share ----------------------------------------------------------------------

/// How `count` tasks take turns: all of them in the same loop, as the fibers of a server are, where
/// the processor has seen the returns before. An iteration of the bench is one turn of one of them.
template <class GiveWay>
class turns {
public:
  turns(std::size_t count, GiveWay give_way)
      : count_{count}, rounds_{count < 8192 ? 8192 / count : 1}, give_way_{give_way} {}

  /// While one has had its turn, so had each of the others.
  [[gnu::noinline]] void take_some() {
    for (std::size_t i = 0; i < rounds_; ++i) give_way_();
  }

  void take_while(const bool& running) {
    while (running) take_some();
  }

  void take_measured(benchmark::State& state) {
    while (state.KeepRunningBatch(static_cast<benchmark::IterationCount>(rounds_ * count_))) {
      take_some();
    }
  }

private:
  const std::size_t count_;
  const std::size_t rounds_;
  GiveWay give_way_;
};

/// The users of a mutex on one thread, each of which gives way while it has it. Where nobody hands
/// the mutex on, who unlocks it may have it again, for as many turns as it likes: each turn is
/// counted, whoever has it.
template <class Mutex, class GiveWay>
class mutex_turns {
public:
  mutex_turns(Mutex& mutex, GiveWay give_way) : mutex_{mutex}, give_way_{give_way} {}

  void take_while(const bool& running) {
    while (running) take_some();
  }

  void take_measured(benchmark::State& state) {
    take_some();  // the others have come, too
    const std::int64_t first = taken_;
    while (state.KeepRunningBatch(rounds)) take_some();
    state.SetItemsProcessed(taken_ - first);
  }

private:
  static constexpr int rounds = 256;

  [[gnu::noinline]] void take_some() {
    for (int i = 0; i < rounds; ++i) {
      mutex_.lock();
      give_way_();
      ++taken_;
      mutex_.unlock();
    }
  }

  Mutex& mutex_;
  GiveWay give_way_;
  std::int64_t taken_ = 0;
};

/// The numbers below `count`, in order or always in the same random one.
std::vector<std::size_t> waking_order(std::size_t count, bool random);

/// For the rows with sleepers: how long the one with the number `sleeper` sleeps, each time anew.
class sleep_lengths {
public:
  explicit sleep_lengths(std::size_t sleeper) noexcept
      : state_{static_cast<std::uint32_t>(sleeper + 1)} {}

  /// From 1 ms to a second.
  std::int64_t next_milliseconds() noexcept {
    state_ = static_cast<std::uint32_t>(std::uint64_t{state_} * 48'271 % 2'147'483'647);
    return 1 + state_ % 1'000;
  }

private:
  std::uint32_t state_;  // of the generator std::minstd_rand
};

/// ns of CPU, user and system, that the process uses for each sleep that ends; `sleeps` counts
/// them, and `wait(seconds)` lets the sleepers sleep: first until the memory of all was touched.
double cpu_of_a_sleep(const std::uint64_t& sleeps, const std::function<void(double)>& wait);

/// Bytes that the process holds in memory.
double resident_bytes();

// The columns: what each peer adds.
void add_switches();
void add_weft();
void add_boost_fiber();
void add_asio();
void add_state_threads();
void add_go();
void add_threads();

}  // namespace weft::bench
