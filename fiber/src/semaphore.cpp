#include <mutex>

#include <weft/fiber/detail/planted.hpp>
#include <weft/fiber/detail/worker.hpp>
#include <weft/fiber/error.hpp>
#include <weft/fiber/semaphore.hpp>

namespace weft {

using detail::wake_reason;
using std::chrono::steady_clock;

semaphore::semaphore(std::size_t count) noexcept : count_(count) {
  if (count > max) detail::misuse("a semaphore was given a count over semaphore::max");
}

semaphore::~semaphore() {
  // Whoever has just released may still be inside.
  const std::lock_guard hold{lock_};
  if (!waiters_.empty()) detail::misuse("a semaphore was destroyed while somebody waited for it");
}

void semaphore::acquire() {
  std::error_code ec;
  acquire(ec);
  if (ec) throw std::system_error(ec, "semaphore::acquire");
}

// Whoever gives way does so before it tries, or others would have to wait for what it takes.
bool semaphore::try_acquire() noexcept {
  detail::spend_budget();
  const std::lock_guard hold{lock_};
  if (count_ == 0) return false;
  --count_;
  return true;
}

bool semaphore::try_acquire_for(any_duration duration, std::error_code& ec) {
  return try_acquire_until(detail::deadline_after(duration), ec);
}

bool semaphore::try_acquire_for(any_duration duration) {
  return try_acquire_until(detail::deadline_after(duration));
}

bool semaphore::try_acquire_until(steady_clock::time_point deadline, std::error_code& ec) {
  acquire_until(deadline, ec);
  return !ec;
}

bool semaphore::try_acquire_until(steady_clock::time_point deadline) {
  std::error_code ec;
  if (try_acquire_until(deadline, ec)) return true;
  detail::throw_unless_own_deadline(ec, "semaphore::try_acquire");
  return false;
}

void semaphore::acquire_until(steady_clock::time_point deadline, std::error_code& ec) {
  detail::spend_budget();
  if (detail::refuse_if_cancelled(ec)) return;
  if (take_or_lock()) return;
  // Whoever wakes this one has not added to the count what it gives.
  detail::note_wait(detail::wait_kind::semaphore, this);
  ec = error_of(detail::wait_or_expire(waiters_, lock_, deadline, detail::cancellation::honoured));
}

bool semaphore::take_or_lock() noexcept {
  lock_.lock();
  if (count_ == 0) return false;
  --count_;
  lock_.unlock();
  return true;
}

void semaphore::release(std::size_t count) noexcept {
  lock_.lock();
  const bool awaited = !waiters_.empty();
  detail::wait_node* const claimed = waiters_.claim_some(count, wake_reason::ready);
  if (planted(detail::bug::leaked_count) && awaited && claimed == nullptr) --count;
  if (count > max - count_) detail::misuse("semaphore::release went over semaphore::max");
  count_ += count;
  lock_.unlock();
  detail::resume_all(claimed);
}

std::size_t semaphore::available() const noexcept {
  const std::lock_guard hold{lock_};
  return count_;
}

}  // namespace weft
