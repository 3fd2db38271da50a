// The closed and the open loop: messages over connections that stay.
#pragma once

#include "client.hpp"

namespace weft::load {

/// Loads the server from `start` on: the warm-up, the measured time, then a drain in which what is
/// in flight may still come back, so that bytes received equal bytes sent. Closes the connections.
///
/// Ends:   early when the parent says to stop, or when no connection is left.
void run_steady(client_state& state, time_point start);

}  // namespace weft::load
