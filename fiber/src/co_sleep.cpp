#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>

#include <weft/fiber/clock.hpp>
#include <weft/fiber/co/block_on.hpp>
#include <weft/fiber/co/sleep.hpp>
#include <weft/fiber/co/task.hpp>
#include <weft/fiber/detail/worker.hpp>
#include <weft/fiber/diagnostics.hpp>

#include "scheduler.hpp"

namespace weft::co::detail {

using weft::detail::scheduler;

bool give_way::start() noexcept { return !scheduler::running()->suspend_to_yield(*this); }

bool sleep::start() noexcept {
  if (weft::detail::refuse_coroutine(error_.code)) {
    if (!weft::detail::must_give_way()) return true;
    weft::detail::suspend_ready(*this);
    return false;
  }
  if (deadline_ <= weft::clock::now()) return !scheduler::running()->suspend_to_yield(*this);
  waits_ = true;
  weft::detail::begin_wait();
  if (weft::detail::suspend_until(*this, deadline_, weft::detail::cancellation::honoured)) {
    return false;
  }
  return go_on();
}

bool sleep::go_on() noexcept {
  if (!waits_) return true;
  const auto reason = weft::detail::end_suspension(deadline_);
  if (reason != weft::detail::wake_reason::timed_out) error_.code = weft::detail::error_of(reason);
  return true;
}

void run_to_end(continuation& start, const co_frame& outermost) noexcept {
  scheduler::running()->run_to_end(start, outermost);
}

void used_after_move() noexcept {
  weft::detail::misuse("a generator that was moved from was asked for a value");
}

void awaited_twice() noexcept {
  weft::detail::misuse("a co::task was awaited, spawned or blocked on for the second time");
}

namespace {

// The task whose drops are expected; one at a time, for a destructor that waits among them is rare,
// and all that it costs is a line too many or too few.
constinit thread_local const void* dropping = nullptr;

}  // namespace

expected_drops::expected_drops() noexcept : task_(&weft::detail::waiter_of_this_task()) {
  dropping = task_;
}

expected_drops::~expected_drops() {
  if (dropping == task_) dropping = nullptr;
}

void report_never_awaited(const std::source_location& where) noexcept {
  if (dropping != nullptr && dropping == &weft::detail::waiter_of_this_task()) return;
  std::array<char, 512> line;  // there may be no memory, which is why it was dropped
  const int size =
      std::snprintf(line.data(), line.size(),
                    "a co::task was dropped before it was awaited, and has never run: %s, %s:%u",
                    where.function_name(), where.file_name(), static_cast<unsigned>(where.line()));
  diagnose({line.data(), std::min(static_cast<std::size_t>(std::max(size, 0)), line.size() - 1)});
}

}  // namespace weft::co::detail
