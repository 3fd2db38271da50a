// How a library above fiber/ puts its own driver under the worker it runs on. Not for users.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include <weft/fiber/detail/worker_view.hpp>
#include <weft/fiber/driver.hpp>

namespace weft::detail {

struct waiter;

// Makes the running worker poll `replacement` from now on, until its runtime is destroyed. The
// driver before it is never polled again. `kind` is an address by which the library knows its
// driver again. Throws std::bad_alloc; then the driver before it stays, and `replacement` is gone.
void install_driver(std::unique_ptr<driver> replacement, const void* kind);

// The driver of the running worker if it was installed as of this kind, or null.
inline driver* installed_driver(const void* kind) noexcept {
  const worker_view* const worker = running_worker;
  return worker != nullptr && worker->installed_kind == kind ? worker->installed : nullptr;
}

// Calls `function(argument)` when the calling thread ends, after what is registered later; also
// what is registered while that happens. Unlike a thread_local object, which is no more once
// destroyed.
void at_thread_exit(void (*function)(void*), void* argument);

// Which worker of which runtime the caller is; runtimes are numbered from 1 in the order of their
// creation. {0, 0} on a plain thread.
struct worker_position {
  std::uint64_t runtime = 0;
  std::uint32_t index = 0;
};

worker_position this_worker() noexcept;
// The same for the task of `task`, which waits, under a lock that keeps it from going on.
worker_position worker_of(waiter& task) noexcept;

// The number that the next runtime would get. No number comes twice.
std::uint64_t take_runtime_number() noexcept;

// Ends the process for a bug in the program that uses weft: writes one line, `what` and the name of
// the running fiber, to the diagnostics sink, and aborts.
[[noreturn]] void misuse(std::string_view what) noexcept;

}  // namespace weft::detail
