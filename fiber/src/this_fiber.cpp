#include <thread>

#include <weft/fiber/clock.hpp>
#include <weft/fiber/error.hpp>
#include <weft/fiber/this_fiber.hpp>

#include "control_block.hpp"
#include "scheduler.hpp"

namespace weft::this_fiber {

using detail::scheduler;

void yield() noexcept {
  if (scheduler* const worker = scheduler::running()) {
    worker->yield();
  } else {
    std::this_thread::yield();
  }
}

namespace {

void sleep_through(std::chrono::steady_clock::time_point deadline, std::error_code& ec) {
  const auto reason = detail::wait_until(deadline);
  if (reason != detail::wake_reason::timed_out) ec = detail::error_of(reason);
}

// Throws for what ended a sleep too early.
template <class Sleep>
void sleep_or_throw(Sleep&& sleep) {
  std::error_code ec;
  sleep(ec);
  if (ec) throw std::system_error(ec, "this_fiber::sleep");
}

}  // namespace

void sleep_until(std::chrono::steady_clock::time_point deadline, std::error_code& ec) {
  if (detail::refuse_if_cancelled(ec)) return;
  if (deadline <= clock::now()) return yield();
  sleep_through(deadline, ec);
}

void sleep_until(std::chrono::steady_clock::time_point deadline) {
  sleep_or_throw([&](std::error_code& ec) { sleep_until(deadline, ec); });
}

// Reads the clock once.
void sleep_for(any_duration duration, std::error_code& ec) {
  if (detail::refuse_if_cancelled(ec)) return;
  if (duration.nanoseconds().count() <= 0) return yield();
  sleep_through(detail::deadline_after(duration), ec);
}

void sleep_for(any_duration duration) {
  sleep_or_throw([&](std::error_code& ec) { sleep_for(duration, ec); });
}

namespace {

const detail::control_block* current() noexcept {
  scheduler* const worker = scheduler::running();
  return worker != nullptr ? worker->current_if_any() : nullptr;
}

}  // namespace

fiber_id get_id() noexcept { return current() != nullptr ? current()->id : fiber_id{}; }

std::string name() { return current() != nullptr ? current()->display_name() : ""; }

std::size_t stack_size() noexcept {
  const scheduler* const worker = scheduler::running();
  return worker != nullptr ? worker->stack_in_use().size : 0;
}

std::size_t stack_high_water() noexcept {
  const scheduler* const worker = scheduler::running();
  const detail::control_block* const self = current();
  return self != nullptr ? worker->stack_high_water(*self) : 0;
}

bool cancel_requested() noexcept {
  return current() != nullptr && current()->cancel_requested.load(std::memory_order_relaxed);
}

}  // namespace weft::this_fiber
