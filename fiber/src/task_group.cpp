#include <exception>

#include <weft/fiber/detail/co_wait.hpp>
#include <weft/fiber/detail/scope.hpp>
#include <weft/fiber/detail/wait.hpp>
#include <weft/fiber/detail/worker.hpp>
#include <weft/fiber/task_group.hpp>

namespace weft {

task_group::task_group() noexcept : exceptions_outside_(std::uncaught_exceptions()) {}

task_group::~task_group() {
  if (core_.contains_caller()) {
    detail::misuse("a fiber destroyed the task_group it belongs to, which would wait for itself");
  }
  if (core_.size() != 0 && detail::in_frame_of_coroutine(this)) {
    detail::misuse("a task_group was destroyed in a coroutine before its tasks had ended; "
                   "co_await group.co_join() first, or use co::with_task_group()");
  }
  if (std::uncaught_exceptions() > exceptions_outside_) core_.request_cancel();
  // The next wait of the caller will tell it.
  std::error_code ec;
  const detail::verdict now = detail::current_verdict();
  if (now != detail::verdict::none) ec = detail::error_of(detail::reason_of(now));
  core_.wait_to_go(ec);
}

void task_group::join(std::error_code& ec) {
  const detail::task_group_core::visit here{core_};
  join_inside(ec);
}

// The caller visits the group, for it may give way before it waits and look at the group after.
void task_group::join_inside(std::error_code& ec) {
  if (refuses_to_join(ec)) return;
  if (!detail::refuse_if_cancelled(ec) && core_.size() == 0) return detail::spend_budget();
  core_.wait_for_all(ec);
}

void task_group::join() {
  const detail::task_group_core::visit here{core_};
  std::error_code ec;
  join_inside(ec);
  core_.throw_outcome(ec);
}

bool task_group::refuses_to_join(std::error_code& ec) const noexcept {
  ec.clear();
  if (!core_.contains_caller()) return false;
  ec = std::make_error_code(std::errc::resource_deadlock_would_occur);
  return true;
}

}  // namespace weft
