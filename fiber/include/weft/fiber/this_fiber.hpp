// The running fiber: give way, sleep, say who it is.
//
// Threads: on a thread that runs no fibers, yield and the sleeps act on the thread, get_id() is 0
// and name() is empty.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <system_error>

#include <weft/fiber/duration.hpp>
#include <weft/fiber/fiber.hpp>

namespace weft::this_fiber {

/// Lets the other fibers that are ready run first, in the order in which they became so; returns at
/// once when there is none. Not a cancellation point.
void yield() noexcept;

/// Sleeps until `deadline`, rounded up to the next millisecond and so never less; a deadline in the
/// past only yields.
///
/// Waits:  for the deadline.
/// Ends:   when the fiber is cancelled.
/// Errors: errc::cancelled.
void sleep_until(std::chrono::steady_clock::time_point deadline, std::error_code& ec);
/// The same; throws std::system_error where the overload above sets `ec`.
void sleep_until(std::chrono::steady_clock::time_point deadline);

/// Sleeps for `duration`, as sleep_until() does; zero or less only yields.
void sleep_for(any_duration duration, std::error_code& ec);
/// The same; throws std::system_error where the overload above sets `ec`.
void sleep_for(any_duration duration);

/// Returns the id of the running fiber.
fiber_id get_id() noexcept;
/// Returns the name of the running fiber, "fiber ID" if it was given none.
std::string name();
/// Returns the size in bytes of the stack that the running fiber or coroutine is on, its guard page
/// included; for the main fiber that of its thread, 0 on a thread that runs no fibers.
std::size_t stack_size() noexcept;
/// Returns how many bytes of its stack the running fiber has used at the deepest since it started,
/// exact to the page. What a fiber before it has used on the same stack does not count.
///
/// Debug builds of the library watch that, and with WEFT_DEBUG=stacks in the environment when the
/// runtime is made, all do; not under valgrind. 0 where it is not watched: in coroutines and the
/// main fiber, too.
std::size_t stack_high_water() noexcept;
/// Whether the running fiber has been asked to end.
bool cancel_requested() noexcept;

}  // namespace weft::this_fiber
