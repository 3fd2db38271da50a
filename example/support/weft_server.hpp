// What the servers on weft, on fibers or in coroutines, share: the address, the workers, the
// orderly end, and what is said when one of them fails.
//
// Threads: for main() alone.
#pragma once

#include <functional>

#include <weft/net.hpp>

#include "server_options.hpp"

namespace example {

/// Serves the connections of a listener until its fiber is cancelled or the listener closed, as
/// weft::net::serve does, and co_serve in a coroutine. Called on each of the workers, at the same
/// time.
using serve_function = std::function<void(weft::net::listener&)>;

/// Listens as `options` say, prints `listening on HOST:PORT` or `listening on unix:PATH`, and
/// serves on as many workers as they ask for. Each has a listener of its own on the same port, over
/// which the kernel spreads the connections; a UNIX socket has one that all of them accept from in
/// turn.
///
/// Waits until SIGINT or SIGTERM, and then for the connections in flight; or until a worker fails,
/// which ends all of them. Returns the code to exit with: a failure, after one line on stderr that
/// names the limit if one was met.
int run_weft_server(const char* program, const server_options& options,
                    const serve_function& serve);

}  // namespace example
