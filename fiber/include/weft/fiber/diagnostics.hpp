// Where weft says what no caller can be told: one line an event, to stderr unless another sink is
// set.
//
// Threads: any thread may call these; the sink is called by one thread at a time.
#pragma once

#include <functional>
#include <string_view>

namespace weft {

/// Called with one line, without its newline. It must not wait on a fiber. If it throws, for want
/// of memory perhaps, the line goes to stderr; so does a line that it passes to diagnose() itself.
using diagnostics_sink = std::function<void(std::string_view line)>;

/// Sets the sink of the process; an empty one restores stderr. Returns the sink that was set
/// before, empty if that was stderr; no thread calls that one any more. A sink that sets another
/// ends the process with a line.
diagnostics_sink set_diagnostics_sink(diagnostics_sink sink);

/// Writes one line to the sink, on stderr with the prefix "weft: ".
void diagnose(std::string_view line) noexcept;

}  // namespace weft
