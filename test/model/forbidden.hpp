// Memory that nobody may use any more, though it is still there: free control blocks, and what a
// run has deleted, which is kept until the next one.
//
// Threads: one at a time.
#pragma once

namespace weft::model {

/// Whether the object lies in such memory.
bool is_forbidden(const void* object) noexcept;

/// Gives back what was deleted in the run before.
void free_what_was_kept() noexcept;

}  // namespace weft::model
