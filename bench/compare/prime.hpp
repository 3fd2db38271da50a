// The first exchange with a fresh server: shows that it works, and lets it touch the memory that
// every server touches once, so that this does not count as the memory of a connection.
#pragma once

#include <string>

namespace weft::compare {

/// Connects to `address`, which is 127.0.0.1:PORT, exchanges one message and closes. Throws
/// std::system_error, with `errc::protocol_error` when something else comes back.
void exchange_once(const std::string& address);

}  // namespace weft::compare
