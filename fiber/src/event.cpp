#include <mutex>

#include <weft/fiber/detail/worker.hpp>
#include <weft/fiber/error.hpp>
#include <weft/fiber/event.hpp>

namespace weft {

using detail::wake_reason;
using std::chrono::steady_clock;

event::~event() {
  // Whoever has just set it may still be inside.
  const std::lock_guard hold{lock_};
  if (!waiters_.empty()) detail::misuse("an event was destroyed while somebody waited for it");
}

void event::set() noexcept {
  lock_.lock();
  // Pairs with the load in is_set().
  set_.store(true, std::memory_order_release);
  detail::wait_node* const claimed = waiters_.claim_all(wake_reason::ready);
  lock_.unlock();
  detail::resume_all(claimed);
}

void event::reset() noexcept {
  const std::lock_guard hold{lock_};
  set_.store(false, std::memory_order_relaxed);
}

void event::wait() {
  std::error_code ec;
  wait(ec);
  if (ec) throw std::system_error(ec, "event::wait");
}

bool event::wait_for(any_duration duration, std::error_code& ec) {
  return wait_until(detail::deadline_after(duration), ec);
}

bool event::wait_for(any_duration duration) { return wait_until(detail::deadline_after(duration)); }

bool event::wait_until(steady_clock::time_point deadline, std::error_code& ec) {
  if (detail::refuse_if_cancelled(ec)) return false;
  if (!is_set_or_lock()) {
    detail::note_wait(detail::wait_kind::event, this);
    ec =
        error_of(detail::wait_or_expire(waiters_, lock_, deadline, detail::cancellation::honoured));
    if (!ec) return true;
  }
  detail::spend_budget();
  return !ec;
}

bool event::is_set_or_lock() noexcept {
  if (is_set()) return true;
  lock_.lock();
  if (!is_set()) return false;
  lock_.unlock();
  return true;
}

bool event::wait_until(steady_clock::time_point deadline) {
  std::error_code ec;
  if (wait_until(deadline, ec)) return true;
  detail::throw_unless_own_deadline(ec, "event::wait");
  return false;
}

}  // namespace weft
