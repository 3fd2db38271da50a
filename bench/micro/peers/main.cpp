// Question: what do the operations of weft cost beside those of its peers: Boost.Fiber with
// Boost.Context, Boost.Asio's coroutines, State Threads, Go, threads?
// Baseline: the peers, in the same run, in random order. Unit: ns of CPU of an operation; bytes of
// memory of a parked task. doc/benches.md says what each row does, and how it is made fair.
#include <cstring>
#include <string>

#include <benchmark/benchmark.h>

#include "../micro_bench.hpp"
#include "mxcsr.hpp"
#include "rows.hpp"

int main(int argc, char** argv) {
  using namespace weft::bench;
  add_switches();
  add_weft();
  add_boost_fiber();
  add_asio();
  add_state_threads();
  add_go();
  add_threads();
  constexpr const char measure[] = "--measure=";
  if (argc == 2 && std::strncmp(argv[1], measure, std::strlen(measure)) == 0) {
    return measure_in_this_process(argv[1] + std::strlen(measure));
  }
  benchmark::AddCustomContext("mxcsr", text_of_mxcsr());
  return run_micro_benches(argc, argv);
}
