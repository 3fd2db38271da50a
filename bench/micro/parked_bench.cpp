// Question: how much memory does a parked coroutine hold, and a parked fiber? Baseline: each other.
// Unit: bytes of resident memory per task (counter `bytes`), of 100,000 that sleep.
//
// And: does that hold for many? Baseline: 100,000 and 1,000,000 fibers, with the default guard, of
// which each finds on its stack, when it wakes, what it has left there. Units: bytes as above; ns
// of CPU to create one, from its spawn until it is parked (`create`), and to wake it until it has
// ended and is joined (`wake`). To be met: 4.5 KB and 3,500 ns with 100,000.
//
// Each figure is that of a process of its own: in one that has run before, they would lie in memory
// that it still holds.
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <system_error>
#include <unistd.h>
#include <vector>

#include <benchmark/benchmark.h>

#include <weft/co.hpp>

#include "micro_bench.hpp"

namespace {

namespace co = weft::co;

// What a process that measures is told: its only argument, and for `checked=` how many.
constexpr char measure_fibers[] = "--measure=fibers";
constexpr char measure_coroutines[] = "--measure=coroutines";
constexpr char measure_checked[] = "--measure=checked=";

// Bytes that the process holds in memory (man 5 proc, /proc/pid/statm).
double resident_bytes() {
  long total = 0;
  long resident = 0;
  std::FILE* const file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr || std::fscanf(file, "%ld %ld", &total, &resident) != 2) {
    std::perror("/proc/self/statm");
    std::exit(1);
  }
  std::fclose(file);
  return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

double nanoseconds_of_cpu() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

// ---- what sleeps -------------------------------------------------------------------------------

co::task<> sleep_long() { co_await co::sleep_for(std::chrono::hours{1}); }

weft::fiber<> spawn_coroutine() { return co::spawn(sleep_long()); }

weft::fiber<> spawn_fiber() {
  return weft::spawn([] {
    std::error_code ec;
    weft::this_fiber::sleep_for(std::chrono::hours{1}, ec);
  });
}

double bytes_per_task(weft::fiber<> (*spawn)()) {
  constexpr std::size_t count = 100'000;
  return weft::run([spawn] {
    std::vector<weft::fiber<>> tasks(count);
    const double before = resident_bytes();
    for (auto& each : tasks) each = spawn();
    weft::this_fiber::yield();  // all have come to their sleep
    const double bytes = (resident_bytes() - before) / count;
    for (auto& each : tasks) each.request_cancel();
    return bytes;
  });
}

// ---- what is checked when it wakes -------------------------------------------------------------

// No two numbers of fibers have words in common (the finalizer of MurmurHash3, which is a
// bijection).
std::uint64_t word_of(std::uint64_t number, std::uint64_t index) {
  std::uint64_t word = number * 64 + index + 1;
  word = (word ^ (word >> 33u)) * 0xff51afd7ed558ccdu;
  word = (word ^ (word >> 33u)) * 0xc4ceb9fe1a85ec53u;
  return word ^ (word >> 33u);
}

// Counts itself if its stack is as it was.
[[gnu::noinline]] void wait_with_words_on_the_stack(std::uint64_t number, weft::event& gate,
                                                    std::size_t& intact) {
  std::array<volatile std::uint64_t, 32> words;
  for (std::size_t i = 0; i < words.size(); ++i) words[i] = word_of(number, i);
  gate.wait();
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] != word_of(number, i)) return;
  }
  ++intact;
}

struct figures {
  double bytes = 0;
  double create = 0;
  double wake = 0;
};

figures park_and_check(std::size_t count) {
  return weft::run([count] {
    figures result;
    const auto fibers = static_cast<double>(count);
    weft::event gate;
    std::size_t intact = 0;
    std::vector<weft::fiber<>> tasks(count);
    const double before = resident_bytes();
    const double begin = nanoseconds_of_cpu();
    for (std::size_t i = 0; i < count; ++i) {
      tasks[i] = weft::spawn([&, i] { wait_with_words_on_the_stack(i, gate, intact); });
    }
    weft::this_fiber::yield();  // all have come to their wait
    const double parked = nanoseconds_of_cpu();
    result.create = (parked - begin) / fibers;
    result.bytes = (resident_bytes() - before) / fibers;
    gate.set();
    for (auto& each : tasks) each.join();
    result.wake = (nanoseconds_of_cpu() - parked) / fibers;
    if (intact != count) {
      std::fprintf(stderr, "%zu of %zu stacks are not as they were\n", count - intact, count);
      std::exit(1);
    }
    return result;
  });
}

// ---- processes ---------------------------------------------------------------------------------

// Runs this program once more, as `bench OPTION`, and takes over the figures that it prints.
bool measure(benchmark::State& state, const std::string& option, figures& result) {
  bool read = false;
  for (auto _ : state) {
    std::FILE* const answer = ::popen(("exec /proc/$PPID/exe " + option).c_str(), "re");
    read = answer != nullptr &&
           std::fscanf(answer, "%lf %lf %lf", &result.bytes, &result.create, &result.wake) == 3;
    if (answer == nullptr || ::pclose(answer) != 0) read = false;
    if (!read) state.SkipWithError("the process that should measure has failed");
  }
  state.counters["bytes"] = result.bytes;
  return read;
}

void park(benchmark::State& state, const char* option) {
  figures result;
  measure(state, option, result);
}

void parked_fibers(benchmark::State& state) { park(state, measure_fibers); }

void parked_coroutines(benchmark::State& state) { park(state, measure_coroutines); }

// man 5 proc, /proc/meminfo.
double available_bytes() {
  std::array<char, 256> line{};
  double kilobytes = 0;
  std::FILE* const file = std::fopen("/proc/meminfo", "r");
  if (file == nullptr) return 0;
  while (std::fgets(line.data(), line.size(), file) != nullptr &&
         std::sscanf(line.data(), "MemAvailable: %lf", &kilobytes) != 1) {
  }
  std::fclose(file);
  return kilobytes * 1024;
}

// With what the kernel needs beside, its page tables and what others may take meanwhile.
constexpr double bytes_to_have_for_each = 7'000;

void checked_fibers(benchmark::State& state, std::size_t count) {
  const double needed = bytes_to_have_for_each * static_cast<double>(count);
  const double available = available_bytes();
  if (available < needed) {
    std::array<char, 128> reason{};
    std::snprintf(reason.data(), reason.size(),
                  "skipped: %.1f GB of memory are available, not %.1f", available / 1e9,
                  needed / 1e9);
    return state.SkipWithError(reason.data());
  }
  figures result;
  if (!measure(state, measure_checked + std::to_string(count), result)) return;
  state.counters["create"] = result.create;
  state.counters["wake"] = result.wake;
}

BENCHMARK(parked_fibers)->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK(parked_coroutines)->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(checked_fibers, 100000_fibers, 100'000)
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);
// `./dev bench --smoke` leaves this one out.
BENCHMARK_CAPTURE(checked_fibers, 1000000_fibers, 1'000'000)
    ->Iterations(1)
    ->Repetitions(3)
    ->Unit(benchmark::kMillisecond);

int answer(const figures& result) {
  return std::printf("%.1f %.1f %.1f\n", result.bytes, result.create, result.wake) < 0;
}

}  // namespace

int main(int argc, char** argv) {
  const char* const option = argc == 2 ? argv[1] : "";
  if (std::strcmp(option, measure_fibers) == 0)
    return answer({.bytes = bytes_per_task(spawn_fiber)});
  if (std::strcmp(option, measure_coroutines) == 0) {
    return answer({.bytes = bytes_per_task(spawn_coroutine)});
  }
  const std::size_t length = std::strlen(measure_checked);
  if (std::strncmp(option, measure_checked, length) == 0) {
    return answer(park_and_check(std::strtoull(option + length, nullptr, 10)));
  }
  return weft::bench::run_micro_benches(argc, argv);
}
