// All of weft::fiber: fibers, the runtime that runs them, what they share, errors and diagnostics.
#pragma once

#include <weft/fiber/cancel_scope.hpp>        // IWYU pragma: export
#include <weft/fiber/channel.hpp>             // IWYU pragma: export
#include <weft/fiber/clock.hpp>               // IWYU pragma: export
#include <weft/fiber/condition_variable.hpp>  // IWYU pragma: export
#include <weft/fiber/context_value.hpp>       // IWYU pragma: export
#include <weft/fiber/diagnostics.hpp>         // IWYU pragma: export
#include <weft/fiber/driver.hpp>              // IWYU pragma: export
#include <weft/fiber/dump.hpp>                // IWYU pragma: export
#include <weft/fiber/duration.hpp>            // IWYU pragma: export
#include <weft/fiber/error.hpp>               // IWYU pragma: export
#include <weft/fiber/event.hpp>               // IWYU pragma: export
#include <weft/fiber/fiber.hpp>               // IWYU pragma: export
#include <weft/fiber/fiber_local.hpp>         // IWYU pragma: export
#include <weft/fiber/mutex.hpp>               // IWYU pragma: export
#include <weft/fiber/runtime.hpp>             // IWYU pragma: export
#include <weft/fiber/semaphore.hpp>           // IWYU pragma: export
#include <weft/fiber/task_group.hpp>          // IWYU pragma: export
#include <weft/fiber/this_fiber.hpp>          // IWYU pragma: export
#include <weft/fiber/unhandled_error.hpp>     // IWYU pragma: export
