// Question: how much memory does a parked coroutine hold, and a parked fiber? Baseline: each other.
// Unit: bytes of resident memory per task (counter `bytes`), of 100,000 that sleep. Each figure is
// that of a process of its own: in one that has run before, they would lie in memory that it still
// holds.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <system_error>
#include <unistd.h>
#include <vector>

#include <benchmark/benchmark.h>

#include <weft/co.hpp>

#include "micro_bench.hpp"

namespace {

namespace co = weft::co;

constexpr char measure_fibers[] = "--measure=fibers";
constexpr char measure_coroutines[] = "--measure=coroutines";

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

// Runs this program once more, as `bench OPTION`, and takes over the figure that it prints.
void park(benchmark::State& state, const char* option) {
  double bytes = 0;
  for (auto _ : state) {
    std::FILE* const answer =
        ::popen((std::string{"exec /proc/$PPID/exe "} + option).c_str(), "re");
    const bool read = answer != nullptr && std::fscanf(answer, "%lf", &bytes) == 1;
    if (answer == nullptr || ::pclose(answer) != 0 || !read) {
      state.SkipWithError("the process that should measure has failed");
      return;
    }
  }
  state.counters["bytes"] = bytes;
}

void parked_fibers(benchmark::State& state) { park(state, measure_fibers); }

void parked_coroutines(benchmark::State& state) { park(state, measure_coroutines); }

BENCHMARK(parked_fibers)->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK(parked_coroutines)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], measure_fibers) == 0) {
    return std::printf("%.1f\n", bytes_per_task(spawn_fiber)) < 0;
  }
  if (argc == 2 && std::strcmp(argv[1], measure_coroutines) == 0) {
    return std::printf("%.1f\n", bytes_per_task(spawn_coroutine)) < 0;
  }
  return weft::bench::run_micro_benches(argc, argv);
}
