// Waits until a test has nothing left to wait for: all other fibers wait themselves.
// Threads: fibers, each for the worker it runs on.
#pragma once

#include <system_error>

#include <weft/fiber/co/task.hpp>

namespace weft::testing {

/// Waits until every other fiber of this worker waits too, with nothing to be had from the driver
/// at once; before a virtual clock jumps.
///
/// Waits:  for that; several callers are woken one after the other, each once the one before waits
///         again. Off a worker it returns at once.
/// Ends:   when the fiber is cancelled.
/// Errors: errc::cancelled, errc::timed_out.
void all_blocked(std::error_code& ec);
/// The same; throws std::system_error where the overload above sets `ec`.
void all_blocked();

/// The same for coroutines.
co::task<> co_all_blocked(std::error_code& ec);
co::task<> co_all_blocked();

}  // namespace weft::testing
