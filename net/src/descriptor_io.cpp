#include "descriptor_io.hpp"

#include <weft/fiber/error.hpp>

namespace weft::net::detail {
namespace {

using weft::detail::wake_reason;

// Stands in for the record of a descriptor that is closed, so that a turn always has one.
constinit fd_record no_record{};

bool failed(wake_reason reason, std::error_code& ec) noexcept {
  if (reason == wake_reason::cancelled) {
    ec = errc::cancelled;
  } else if (reason == wake_reason::closed) {
    ec = errc::closed;
  } else {
    return false;
  }
  return true;
}

}  // namespace

io_turn::io_turn(const descriptor& target, direction which, std::error_code& ec)
    : fd_(target.fd()), record_(target.is_open() ? *target.record() : no_record), which_(which) {
  ec.clear();
  if (weft::detail::refuse_if_cancelled()) {
    refused_ = true;
    ec = errc::cancelled;
    return;
  }
  if (&record_ == &no_record) {
    ec = errc::closed;
    return;
  }
  generation_ = record_.generation.load(std::memory_order_relaxed);
  if (side().busy) {
    // The operation before this one leaves `busy` set when it wakes us: the turn is handed over.
    if (failed(weft::detail::wait(side().turn), ec)) return;
    if (!still_open()) {
      ec = errc::closed;
      return;
    }
    if (weft::detail::refuse_if_cancelled()) {  // after it was woken, and before it has tried
      pass_on();
      ec = errc::cancelled;
      return;
    }
  }
  side().busy = true;
  granted_ = true;
}

io_turn::~io_turn() {
  if (granted_ && still_open()) pass_on();
  // Failed or not: whoever repeats a call that fails must not freeze the worker.
  if (!refused_) weft::detail::spend_budget();
}

void io_turn::pass_on() noexcept { side().busy = side().turn.wake_one(wake_reason::ready); }

bool io_turn::go_on(std::error_code& ec) {
  weft::detail::spend_budget();
  if (!still_open()) {
    ec = errc::closed;
  } else if (weft::detail::refuse_if_cancelled()) {
    ec = errc::cancelled;
  }
  return !ec;
}

bool io_turn::pause(std::chrono::nanoseconds length, std::error_code& ec) {
  const auto deadline = weft::detail::deadline_clock::now() + length;
  for (;;) {
    const wake_reason reason = weft::detail::wait(side().readiness, deadline);
    if (failed(reason, ec)) return false;
    if (!still_open()) {
      ec = errc::closed;
      return false;
    }
    if (reason == wake_reason::timed_out) return true;
  }
}

bool io_turn::park_until_ready(std::error_code& ec) {
  do {
    poller* const worker = poller::of_this_worker(ec);
    if (worker == nullptr || !worker->watch(fd_, record_, ec)) return false;
    if (failed(worker->wait(side().readiness), ec)) return false;
    if (!still_open()) {
      ec = errc::closed;
      return false;
    }
  } while (!side().ready);
  weft::detail::warm_next_fiber();
  return true;
}

}  // namespace weft::net::detail
