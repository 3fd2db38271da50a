// The column of State Threads where that was not installed when this was built.
#include "rows.hpp"

namespace weft::bench {

void add_state_threads() { add_missing("state-threads", "libst-dev"); }

}  // namespace weft::bench
