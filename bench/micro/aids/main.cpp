// Question: what does it cost a yield, and a wait, that debuggers and dumps can tell what each
// fiber waits for, and since when?
// Baseline: the same library compiled without those notes (`bare`), in the same run. It is compiled
// once more as it is (`again`): what the two differ by is nothing but where the code lies, and no
// smaller cost can be told. Unit: ns of CPU of a yield; of a wake-up of another fiber with the wait
// for its answer, one way; median of the repetitions.
#include <cstdlib>

#include "../micro_bench.hpp"
#include "aids.hpp"

namespace weft_bare::bench {
void add_rows(const char* copy, bool is_brief);
}

namespace weft_again::bench {
void add_rows(const char* copy, bool is_brief);
}

int main(int argc, char** argv) {
  const bool is_brief = weft::bench::is_brief();
  weft::bench::add_rows("noted", is_brief);
  weft_again::bench::add_rows("again", is_brief);
  weft_bare::bench::add_rows("bare", is_brief);
  return weft::bench::run_micro_benches(argc, argv);
}
