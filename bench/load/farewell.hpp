// The end of a client's connections: half-closed, so that whatever the server still sends is seen
// and checked, then closed.
#pragma once

#include <chrono>

#include "client.hpp"

namespace weft::load {

/// Ends the sending side of every open connection, waits for the server to end the other one, and
/// closes them all. Bytes that still come count as corrupt, for no message is in flight any more.
///
/// Waits:  at most `patience` without one of them ending; a server that ignores a half-close costs
///         no more than that.
void say_farewell(client_state& state, std::chrono::nanoseconds patience);

}  // namespace weft::load
