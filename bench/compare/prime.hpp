// The first exchange with a fresh server: shows that it works, and lets it touch the memory that
// every server touches once, so that this does not count as the memory of a connection.
#pragma once

#include <string>

#include "child.hpp"
#include "interrupt.hpp"

namespace weft::compare {

/// Connects to `address`, which is 127.0.0.1:PORT, exchanges one message and closes.
///
/// Waits:  until `deadline` at most. Throws `interrupted` when a signal comes before.
/// Errors: throws std::system_error: `errc::timed_out` at the deadline, `errc::protocol_error` when
///         something else comes back, `errc::connection_reset` when nothing more does.
void exchange_once(const std::string& address, steady::time_point deadline, interrupt& signals);

}  // namespace weft::compare
