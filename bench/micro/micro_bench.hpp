// How the micro benches are run from the command line.
#pragma once

namespace weft::bench {

/// Runs the benches of the program as its arguments, those of Google Benchmark, say. Returns the
/// exit code: 0, or 2 after one line for an argument that is none of them.
int run_micro_benches(int argc, char** argv);

}  // namespace weft::bench
