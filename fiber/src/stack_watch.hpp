// How deep fibers use their stacks: painted below the fiber, looked at for where the paint ends.
//
// A stack is painted where fibers before have used it, when the next starts: so a page in memory
// that is not all paint has been used since, and no page gets memory by being painted. Residency
// alone would tell of the deepest fiber that the stack ever had.
// Threads: the worker that owns the stack.
#pragma once

#include <cstddef>

#include "control_block.hpp"
#include "stack_pool.hpp"

namespace weft::detail {

// Whether new workers watch their stacks: in debug builds, or with the word `stacks` in WEFT_DEBUG.
bool stacks_are_to_be_watched() noexcept;

// Paints what has been used of a stack on which nothing runs.
void repaint(stack& unused) noexcept;
// The same below the caller, who runs on it.
void repaint_below(stack& mine) noexcept;

// Bytes from the lowest that has been used to the end, of a stack that was painted when its fiber
// started: exact where the page was in memory before, else to the page.
std::size_t high_water(const stack& watched) noexcept;

// Says that a fiber has come near the end of its stack, once for each place that spawns such.
void warn_if_deep(const control_block& ending) noexcept;

}  // namespace weft::detail
