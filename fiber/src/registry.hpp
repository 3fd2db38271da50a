// All workers of the process, and where a debugger finds what they know: see tools/gdb/weft.py.
// Threads: any, and handlers of signals.
#pragma once

#include <mutex>

#include <weft/fiber/detail/spin_lock.hpp>

#include "scheduler.hpp"

namespace weft::detail {

// All schedulers are listed from their construction to their destruction.
void list_scheduler(scheduler& entry) noexcept;
void unlist_scheduler(scheduler& entry) noexcept;

// With the lock held. For a fork: the first of those that are left.
scheduler* first_listed_scheduler() noexcept;
void set_first_listed_scheduler(scheduler* first) noexcept;
spin_lock& scheduler_list_lock() noexcept;

// Calls visit(scheduler) for each; false, and calls nothing, when the list is being changed at this
// moment.
template <class Visit>
bool try_for_each_scheduler(Visit&& visit) {
  if (!scheduler_list_lock().try_lock()) return false;
  const std::lock_guard hold{scheduler_list_lock(), std::adopt_lock};
  for (scheduler* each = first_listed_scheduler(); each != nullptr; each = each->next_listed) {
    visit(*each);
  }
  return true;
}

}  // namespace weft::detail
