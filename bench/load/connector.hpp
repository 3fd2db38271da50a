// The connect phase: every connection is made, and its first message sent and seen to come back,
// before any load begins.
//
// The first reply proves that the server has accepted the connection. So the number of connections
// that wait to be accepted has a bound, and ten thousand of them do not overflow a listen backlog
// of 128. A connection that cannot be made ends the run: nothing is tried again silently.
#pragma once

#include <string>

#include "client.hpp"

namespace weft::load {

/// Makes all connections of this client. Returns false when the parent says to stop before.
///
/// Errors: throws run_failure with one line that names the address and what went wrong.
bool connect_all(client_state& state);

/// Returns the line for a connection that could not be made, or broke before its first reply.
std::string describe_connect_failure(const client_state& state, int code);

}  // namespace weft::load
