#include "micro_bench.hpp"

#include <cstdio>
#include <cstdlib>

#include <benchmark/benchmark.h>

namespace weft::bench {

int run_micro_benches(int argc, char** argv) {
  const char* const program = argc > 0 ? argv[0] : "bench";
  benchmark::Initialize(&argc, argv);
  if (argc > 1) {
    std::fprintf(stderr, "%s: unknown argument '%s'; accepted are the options that --help lists\n",
                 program, argv[1]);
    return 2;
  }
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

bool is_brief() { return std::getenv("WEFT_BENCH_BRIEF") != nullptr; }

}  // namespace weft::bench

// Not that of a program which has its own.
[[gnu::weak]] int main(int argc, char** argv) { return weft::bench::run_micro_benches(argc, argv); }
