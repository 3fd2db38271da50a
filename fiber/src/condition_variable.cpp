#include <weft/fiber/condition_variable.hpp>
#include <weft/fiber/detail/worker.hpp>

namespace weft {

using detail::wake_reason;

condition_variable::~condition_variable() {
  // Whoever has just notified may still be inside.
  const std::lock_guard hold{lock_};
  if (!waiters_.empty()) {
    detail::misuse("a condition_variable was destroyed while somebody waited for it");
  }
}

void condition_variable::notify_one() noexcept {
  lock_.lock();
  detail::waiter* const claimed = waiters_.claim_first(wake_reason::ready);
  lock_.unlock();
  detail::resume(claimed);
}

void condition_variable::notify_all() noexcept {
  lock_.lock();
  detail::wait_node* const claimed = waiters_.claim_all(wake_reason::ready);
  lock_.unlock();
  detail::resume_all(claimed);
}

std::cv_status condition_variable::wait_until(std::unique_lock<mutex>& lock, time_point deadline,
                                              std::error_code& ec) {
  if (!lock.owns_lock()) {
    detail::misuse("condition_variable::wait was called without holding the mutex");
  }
  if (detail::refuse_if_cancelled(ec)) return std::cv_status::timeout;
  mutex& held = *lock.mutex();
  lock_.lock();
  // A notification needs `lock_`: none comes between the mutex and the wait.
  detail::waiter* const next_holder = held.release();
  const wake_reason reason = detail::wait(waiters_, detail::waiter_of_this_task().node, lock_,
                                          deadline, detail::cancellation::honoured, next_holder);
  held.lock();
  ec = detail::error_of(reason);
  return ec ? std::cv_status::timeout : std::cv_status::no_timeout;
}

std::cv_status condition_variable::wait_until(std::unique_lock<mutex>& lock, time_point deadline) {
  std::error_code ec;
  const std::cv_status status = wait_until(lock, deadline, ec);
  throw_unless_timed_out(ec);
  return status;
}

void condition_variable::wait(std::unique_lock<mutex>& lock) {
  wait_until(lock, detail::no_deadline);
}

void condition_variable::throw_unless_timed_out(std::error_code ec) {
  detail::throw_unless_own_deadline(ec, "condition_variable::wait");
}

}  // namespace weft
