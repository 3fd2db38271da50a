// How the micro benches are run from the command line.
#pragma once

namespace weft::bench {

/// Runs the benches of the program as its arguments, those of Google Benchmark, say. Returns the
/// exit code: 0, or 2 after one line for an argument that is none of them.
int run_micro_benches(int argc, char** argv);

/// Whether all of it should take little time, for nobody will look at the figures: set by
/// `./dev bench --smoke`, as WEFT_BENCH_BRIEF in the environment.
bool is_brief();

}  // namespace weft::bench
