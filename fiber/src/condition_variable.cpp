#include <weft/fiber/condition_variable.hpp>
#include <weft/fiber/detail/worker.hpp>

namespace weft {

using detail::wake_reason;

namespace {

void require_held(const std::unique_lock<mutex>& lock) noexcept {
  if (!lock.owns_lock()) {
    detail::misuse("condition_variable::wait was called without holding the mutex");
  }
}

}  // namespace

condition_variable::~condition_variable() {
  // Whoever has just notified may still be inside, and who was to be notified when its time was
  // already over: it may be destroyed nevertheless ([thread.condition.condvar]).
  lock_.lock();
  if (waiters_.first_armed() != nullptr) {
    detail::misuse("a condition_variable was destroyed while somebody waited for it");
  }
  while (!waiters_.empty()) {
    lock_.unlock();
    detail::let_others_run();
    lock_.lock();
  }
  lock_.unlock();
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
  require_held(lock);
  if (detail::refuse_if_cancelled(ec)) return std::cv_status::timeout;
  detail::waiter* const next_holder = give_up(lock);
  detail::note_wait(detail::wait_kind::condition, this);
  const wake_reason reason = detail::wait(waiters_, detail::waiter_of_this_task().node, lock_,
                                          deadline, detail::cancellation::honoured, next_holder);
  lock.mutex()->lock();
  ec = detail::error_of(reason);
  return ec ? std::cv_status::timeout : std::cv_status::no_timeout;
}

// A notification needs `lock_`, which is held then: none comes between the mutex and the wait.
// Returns whom the mutex goes to, or null.
detail::waiter* condition_variable::give_up(std::unique_lock<mutex>& lock) noexcept {
  lock_.lock();
  return lock.mutex()->release();
}

// ---- for coroutines ----------------------------------------------------------------------------

co::task<std::cv_status> condition_variable::co_wait_until(std::unique_lock<mutex>& lock,
                                                           time_point deadline,
                                                           std::error_code& ec) {
  require_held(lock);
  ec.clear();
  if (detail::refuse_coroutine(ec)) {
    co_await detail::co_budget{};
    co_return std::cv_status::timeout;
  }
  detail::waiter* const next_holder = give_up(lock);
  detail::note_wait(detail::wait_kind::condition, this);
  const wake_reason reason = co_await detail::co_wait<detail::spin_lock>{
      waiters_, lock_, deadline, detail::cancellation::honoured, next_holder};
  co_await lock.mutex()->co_lock();
  ec = detail::error_of(reason);
  co_return ec ? std::cv_status::timeout : std::cv_status::no_timeout;
}

co::task<std::cv_status> condition_variable::co_wait_until(std::unique_lock<mutex>& lock,
                                                           time_point deadline) {
  std::error_code ec;
  const std::cv_status status = co_await co_wait_until(lock, deadline, ec);
  throw_unless_timed_out(ec);
  co_return status;
}

co::task<> condition_variable::co_wait(std::unique_lock<mutex>& lock, std::error_code& ec) {
  co_await co_wait_until(lock, detail::no_deadline, ec);
}

co::task<> condition_variable::co_wait(std::unique_lock<mutex>& lock) {
  co_await co_wait_until(lock, detail::no_deadline);
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
