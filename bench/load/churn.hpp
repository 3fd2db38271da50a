// Connections that come and go: connect, one exchange, close, in a number of slots at once.
//
// The client closes first, by an ordinary close, so the server sees an end of stream and the
// TIME_WAIT of each connection stays on the client's side: source_addresses spreads it.
#pragma once

#include "client.hpp"

namespace weft::load {

/// Makes exchanges from `start` on: the warm-up, the measured time, then a drain in which those
/// under way may still end.
///
/// Ends:   early when the parent says to stop.
/// Errors: throws run_failure when the very first connections cannot be made; later ones are
///         counted, and their slot pauses for 10 ms.
void run_churn(client_state& state, time_point start);

}  // namespace weft::load
