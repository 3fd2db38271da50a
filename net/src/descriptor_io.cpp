#include "descriptor_io.hpp"

#include <mutex>
#include <poll.h>
#include <utility>

#include <weft/fiber/clock.hpp>
#include <weft/fiber/detail/scope.hpp>
#include <weft/fiber/detail/wait_note.hpp>
#include <weft/fiber/error.hpp>

namespace weft::net::detail {
namespace {

using weft::detail::wait_kind;
using weft::detail::wake_reason;

bool failed(wake_reason reason, std::error_code& ec) noexcept {
  if (reason == wake_reason::ready || reason == wake_reason::timed_out) return false;
  ec = weft::detail::error_of(reason);
  return true;
}

}  // namespace

constinit fd_record no_record{};

// The operation before this one hands its turn over: `busy` stays set, and `away` until we look.
void io_turn::wait_for_turn(std::error_code& ec) {
  weft::detail::note_wait(wait_kind::turn, static_cast<std::uint64_t>(fd_));
  end_wait_for_turn(weft::detail::wait(side().turn, record_.lock, weft::detail::no_deadline,
                                       weft::detail::cancellation::honoured),
                    ec);
}

void io_turn::end_wait_for_turn(wake_reason reason, std::error_code& ec) {
  if (failed(reason, ec) || !come_back(ec)) return;
  granted_ = true;
  // After it was woken, and before it has tried.
  const weft::detail::verdict now = weft::detail::current_verdict();
  if (now == weft::detail::verdict::none) return;
  ec = weft::detail::error_of(weft::detail::reason_of(now));
  end();
}

bool io_turn::go_on(std::error_code& ec) {
  weft::detail::spend_budget();
  if (weft::detail::refuse_if_cancelled(ec)) return false;
  if (!record_.is_generation(generation_)) ec = errc::closed;
  return !ec;
}

void io_turn::step_aside() noexcept {
  const std::lock_guard hold{record_.lock};
  if (record_.is_generation(generation_)) record_.add_away(which_);
}

void io_turn::note_readiness() const noexcept {
  const auto kind = which_ == direction::read ? wait_kind::input : wait_kind::output;
  weft::detail::note_wait(kind, static_cast<std::uint64_t>(fd_));
}

// With the lock held, which it gives up.
wake_reason io_turn::park(weft::detail::deadline_clock::time_point deadline) {
  record_.add_away(which_);
  note_readiness();
  return weft::detail::wait(side().readiness, record_.lock, deadline,
                            weft::detail::cancellation::honoured);
}

bool io_turn::pause(std::chrono::nanoseconds length, std::error_code& ec) {
  const auto deadline = weft::clock::now() + length;
  for (;;) {
    if (weft::detail::refuse_if_cancelled(ec)) return false;
    record_.lock.lock();
    if (!record_.is_generation(generation_)) {
      record_.lock.unlock();
      ec = errc::closed;
      return false;
    }
    const wake_reason reason = park(deadline);
    failed(reason, ec);
    if (!may_try(ec)) return false;
    if (reason == wake_reason::timed_out) return true;
  }
}

void io_turn::park_with_turn(poller& worker, std::error_code& ec) {
  has_waited_ = true;
  {
    const poller::waiting here{worker};
    failed(park(weft::detail::no_deadline), ec);
  }
  if (!may_try(ec)) return end();
  weft::detail::warm_next_fiber();
}

bool io_turn::park_until_ready(std::error_code& ec) {
  has_waited_ = true;
  if (!weft::detail::on_worker()) return block_until_ready(ec);
  poller* const worker = poller::of_this_worker(ec);
  if (worker == nullptr) return false;
  do {
    if (weft::detail::refuse_if_cancelled(ec)) return false;
    record_.lock.lock();
    if (!record_.is_generation(generation_)) {
      ec = errc::closed;
    } else if (worker->watch(fd_, record_, ec) && !side().ready()) {
      const poller::waiting here{*worker};
      failed(park(weft::detail::no_deadline), ec);
      if (!may_try(ec)) return false;
      continue;
    }
    record_.lock.unlock();
    if (ec) return false;
  } while (!side().ready());
  seen_ = side().events.load(std::memory_order_acquire);
  weft::detail::warm_next_fiber();
  return true;
}

// ---- for coroutines ----------------------------------------------------------------------------

io_progress io_turn::begin(weft::detail::continuation& then, weft::detail::list_suspension& wait,
                           std::error_code& ec) {
  if (weft::detail::refuse_coroutine(ec)) return io_progress::failed;
  return take_or_lock(ec) ? outcome_of_turn() : suspend_for_turn(then, wait, ec);
}

io_progress io_turn::begin_with_event(weft::detail::continuation& then,
                                      weft::detail::list_suspension& wait, std::error_code& ec) {
  if (weft::detail::refuse_coroutine(ec)) return io_progress::failed;
  poller* worker = nullptr;
  const bool taken = take_or_lock(ec, [&] {
    worker = side().ready() ? nullptr : poller::if_installed();
    if (worker != nullptr && !worker->watches(record_)) worker = nullptr;
    if (worker == nullptr) record_.lock.unlock();
  });
  if (!taken) return suspend_for_turn(then, wait, ec);
  if (worker == nullptr) return outcome_of_turn();
  has_waited_ = true;
  leave_a_gap();
  const io_progress progress = suspend_locked(*worker, then, wait, ec);
  return progress == io_progress::suspended ? io_progress::suspended_for_event : progress;
}

// With the lock held, which it gives up.
io_progress io_turn::suspend_for_turn(weft::detail::continuation& then,
                                      weft::detail::list_suspension& wait, std::error_code& ec) {
  weft::detail::note_wait(wait_kind::turn, static_cast<std::uint64_t>(fd_));
  if (wait.begin(then, side().turn, weft::detail::waiter_of_this_task().node, record_.lock,
                 weft::detail::no_deadline, weft::detail::cancellation::honoured)) {
    return io_progress::suspended;
  }
  return turn_has_come(wait, ec);
}

io_progress io_turn::turn_has_come(weft::detail::list_suspension& wait, std::error_code& ec) {
  end_wait_for_turn(wait.end(side().turn, weft::detail::waiter_of_this_task().node, record_.lock),
                    ec);
  return outcome_of_turn();
}

io_progress io_turn::outcome_of_turn() noexcept {
  if (!granted_) return io_progress::failed;
  seen_ = side().events.load(std::memory_order_acquire);
  return io_progress::ready;
}

io_progress io_turn::suspend_until_ready(weft::detail::continuation& then,
                                         weft::detail::list_suspension& wait, std::error_code& ec) {
  has_waited_ = true;
  poller* const worker = poller::of_this_worker(ec);
  if (worker == nullptr || weft::detail::refuse_coroutine(ec)) return io_progress::failed;
  record_.lock.lock();
  if (!record_.is_generation(generation_)) {
    ec = errc::closed;
  } else if (worker->watch(fd_, record_, ec) && !side().ready()) {
    return suspend_locked(*worker, then, wait, ec);
  }
  record_.lock.unlock();
  if (ec) return io_progress::failed;
  seen_ = side().events.load(std::memory_order_acquire);
  return io_progress::ready;
}

// With the lock held, which it gives up.
io_progress io_turn::suspend_locked(poller& worker, weft::detail::continuation& then,
                                    weft::detail::list_suspension& wait, std::error_code& ec) {
  record_.add_away(which_);
  worker.begin_to_wait();
  note_readiness();
  if (wait.begin(then, side().readiness, weft::detail::waiter_of_this_task().node, record_.lock,
                 weft::detail::no_deadline, weft::detail::cancellation::honoured)) {
    return io_progress::suspended;
  }
  return event_has_come(then, wait, ec);
}

io_progress io_turn::event_has_come(weft::detail::continuation& then,
                                    weft::detail::list_suspension& wait, std::error_code& ec) {
  const wake_reason reason =
      wait.end(side().readiness, weft::detail::waiter_of_this_task().node, record_.lock);
  poller::of_this_worker(ec)->end_wait();
  failed(reason, ec);
  if (!co_may_try(ec)) return io_progress::failed;
  if (!side().ready()) return suspend_until_ready(then, wait, ec);
  seen_ = side().events.load(std::memory_order_acquire);
  weft::detail::warm_next_fiber();
  return io_progress::ready;
}

co::task<bool> io_turn::co_pause(std::chrono::nanoseconds length, std::error_code& ec) {
  const auto deadline = weft::clock::now() + length;
  for (;;) {
    if (weft::detail::refuse_coroutine(ec)) co_return false;
    record_.lock.lock();
    if (!record_.is_generation(generation_)) {
      record_.lock.unlock();
      ec = errc::closed;
      co_return false;
    }
    record_.add_away(which_);
    note_readiness();
    const wake_reason reason = co_await weft::detail::co_wait<weft::detail::spin_lock>{
        side().readiness, record_.lock, deadline, weft::detail::cancellation::honoured};
    failed(reason, ec);
    if (!co_may_try(ec)) co_return false;
    if (reason == wake_reason::timed_out) co_return true;
  }
}

// ---- on a plain thread -------------------------------------------------------------------------

// On a plain thread. No poller tells it of events: what poll(2) reports is counted as one.
bool io_turn::block_until_ready(std::error_code& ec) {
  if (!weft::detail::prepare_thread_to_poll(ec)) return false;
  const short events = which_ == direction::read ? POLLIN | POLLRDHUP : POLLOUT;
  do {
    if (weft::detail::refuse_if_cancelled(ec)) return false;
    record_.lock.lock();
    if (!record_.is_generation(generation_)) ec = errc::closed;
    if (ec || side().ready()) {
      record_.lock.unlock();
      break;
    }
    record_.add_away(which_);
    const wake_reason reason = weft::detail::wait_for_descriptor(
        side().readiness, record_.lock, fd_, events, weft::detail::cancellation::honoured);
    failed(reason, ec);
    if (!may_try(ec)) return false;
    try_again(record_, which_);
  } while (!side().ready());
  seen_ = side().events.load(std::memory_order_acquire);
  return !ec;
}

}  // namespace weft::net::detail
