// How a library above fiber/ puts its own driver under the worker it runs on. Not for users.
#pragma once

#include <memory>
#include <string_view>

#include <weft/fiber/driver.hpp>

namespace weft::detail {

// Makes the running worker poll `replacement` from now on, until its runtime is destroyed. The
// driver before it is never polled again. `kind` is an address by which the library knows its
// driver again.
void install_driver(std::unique_ptr<driver> replacement, const void* kind) noexcept;

// The driver of the running worker if it was installed as of this kind, or null.
driver* installed_driver(const void* kind) noexcept;

// Ends the process for a bug in the program that uses weft: writes one line, `what` and the name of
// the running fiber, to the diagnostics sink, and aborts.
[[noreturn]] void misuse(std::string_view what) noexcept;

}  // namespace weft::detail
