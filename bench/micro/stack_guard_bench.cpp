// Question: what does the guard of a fiber's stack cost, in each of the forms that runtime_options
// offers? (`automatic` is page_protection on kernels below 6.13.)
// Baseline: the forms are each other's; the cost without any guard is that of `groups`, nearly.
// Unit: ns of CPU per fiber that is spawned on a stack never used before, touches it, parks, and
// ends; mappings of the process per fiber while all are parked.
#include <fstream>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include <weft/fiber.hpp>

namespace {

constexpr std::size_t fibers = 10'000;

std::size_t mappings() {
  std::ifstream file("/proc/self/maps");
  std::size_t count = 0;
  for (std::string line; std::getline(file, line);) ++count;
  return count;
}

void first_use_of_a_stack(benchmark::State& state, weft::stack_guard guard) {
  double mapped = 0;
  for (auto _ : state) {
    weft::runtime worker{{.guard = guard}};
    worker.run([&] {
      const std::size_t before = mappings();
      std::vector<weft::fiber<>> parked;
      parked.reserve(fibers);
      for (std::size_t i = 0; i < fibers; ++i) {
        parked.push_back(weft::spawn([] { weft::this_fiber::yield(); }));
      }
      weft::this_fiber::yield();
      state.PauseTiming();
      mapped = static_cast<double>(mappings() - before);
      state.ResumeTiming();
      for (auto& each : parked) each.join();
    });
  }
  const auto total = static_cast<double>(state.iterations()) * fibers;
  state.counters["per_fiber"] =
      benchmark::Counter(total, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["mappings_per_fiber"] = mapped / fibers;
}

BENCHMARK_CAPTURE(first_use_of_a_stack, automatic, weft::stack_guard::automatic)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(first_use_of_a_stack, page_protection, weft::stack_guard::page_protection)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(first_use_of_a_stack, groups, weft::stack_guard::groups)
    ->Unit(benchmark::kMillisecond);

}  // namespace
