// Who is told of an exception that nobody retrieved. See <weft/fiber/unhandled_error.hpp>.
// Threads: any.
#pragma once

#include "control_block.hpp"

namespace weft::detail {

// Calls the handler for the failure of a fiber that has ended, unless there is none or somebody has
// retrieved it; it then counts as retrieved.
void report_failure(const control_block& block) noexcept;

inline void report_unless_retrieved(const control_block& block) noexcept {
  if (block.task->failure && !block.task->cancelled) report_failure(block);
}

}  // namespace weft::detail
