// All fibers of the process, line by line.
// Threads: any, and handlers of signals.
#pragma once

namespace weft::detail {

// See testing::dump_fibers().
void dump_fibers(int descriptor) noexcept;

}  // namespace weft::detail
