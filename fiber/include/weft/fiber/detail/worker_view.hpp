// What every operation looks at of the worker it runs on, in line. Used by the libraries above
// fiber/; not for users.
// Threads: each sees its own.
#pragma once

#include <cstdint>

namespace weft {
class driver;
}

namespace weft::detail {

// What a task's scopes say of its waits.
enum class verdict : std::uint8_t {
  none,
  cancelled,
  expired,  // its deadline has passed
};

// The base of a scheduler, which writes it.
struct worker_view {
  // Calls that succeed without parking before the fiber has to give way.
  static constexpr unsigned budget_a_run = 64;

  const verdict* judgement = nullptr;  // of the running fiber
  unsigned budget = budget_a_run;
  driver* installed = nullptr;  // what install_driver() was given last, and as of which kind
  const void* installed_kind = nullptr;
  // What a virtual clock shows, in nanoseconds; null where time is that of the steady clock.
  const std::int64_t* virtual_now = nullptr;
};

// Null on a plain thread.
extern constinit thread_local worker_view* running_worker;

}  // namespace weft::detail
