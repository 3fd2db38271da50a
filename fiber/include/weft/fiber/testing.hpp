// The testing kit: virtual time, a seeded order of running (runtime_options::order_seed), a driver
// that a test writes, waiting for quiet, leak checks, a watchdog.
#pragma once

#include <weft/fiber/testing/all_blocked.hpp>    // IWYU pragma: export
#include <weft/fiber/testing/fake_driver.hpp>    // IWYU pragma: export
#include <weft/fiber/testing/leak_check.hpp>     // IWYU pragma: export
#include <weft/fiber/testing/virtual_clock.hpp>  // IWYU pragma: export
#include <weft/fiber/testing/watchdog.hpp>       // IWYU pragma: export
