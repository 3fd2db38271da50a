// Where an exception goes that a fiber has thrown and that nobody retrieves: to one handler, once.
//
// It is retrieved by result() and exception() of a handle, by task_group::join(), which throws it,
// and by task_group::errors(). When the last who could do so is gone, the handle or the group, or
// at its end for a detached fiber, the handler is told. That a fiber ended by its cancellation is
// no error.
//
// Threads: any thread may set the handler. It is called on the thread, and often on the small
// stack, of whoever gave the exception up, by several at once if need be.
#pragma once

#include <exception>
#include <functional>
#include <string_view>

#include <weft/fiber/fiber.hpp>

namespace weft {

/// An exception that nobody retrieved.
struct unhandled_error {
  /// Of the fiber that has thrown it, "fiber ID" if it was given none; valid during the call.
  std::string_view fiber_name;
  fiber_id id{};
  std::exception_ptr exception;
};

/// Called once for each such exception. It must not wait on a fiber. What it throws goes to the
/// diagnostics sink, beside what it was told.
using unhandled_error_handler = std::function<void(const unhandled_error&)>;

/// Sets the handler of the process; an empty one restores the default, which writes one line to the
/// diagnostics sink. Returns the handler that was set before, empty if that was the default; it may
/// still be running on other threads.
unhandled_error_handler set_unhandled_error_handler(unhandled_error_handler handler);

}  // namespace weft
