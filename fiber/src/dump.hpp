// All fibers of the process, line by line.
// Threads: any, and handlers of signals.
#pragma once

namespace weft::detail {

class scheduler;

// All schedulers of the process are listed from their construction to their destruction.
void list_scheduler(scheduler& entry) noexcept;
void unlist_scheduler(scheduler& entry) noexcept;

// See testing::dump_fibers().
void dump_fibers(int descriptor) noexcept;

}  // namespace weft::detail
