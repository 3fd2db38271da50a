// Connections that are held and say nothing.
#pragma once

#include "client.hpp"

namespace weft::load {

/// Holds the connections silently from `start` on for the duration asked for, and counts those
/// that break and bytes that come unasked. Closes the connections.
///
/// Ends:   early when the parent says to stop, or when no connection is left.
void run_idle(client_state& state, time_point start);

}  // namespace weft::load
