// What is said when the process ends for what the program has done, and the sink in a fork.
// Threads: any.
#pragma once

#include <string_view>

namespace weft::detail {

// Says one line on the diagnostics sink and ends the process by SIGABRT. A sink in which a thread
// is stuck, or that does not return, is given two seconds; then the line goes to stderr, unless
// nobody reads that.
[[noreturn]] void end_process(std::string_view line) noexcept;

// In the child of a fork: another thread that was in the sink is not there.
void forget_others_in_sink() noexcept;

}  // namespace weft::detail
