// What is said of coroutines that are used wrongly, or that nobody has awaited.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>

#include <weft/fiber/co/generator.hpp>
#include <weft/fiber/co/task.hpp>
#include <weft/fiber/detail/wait.hpp>
#include <weft/fiber/detail/worker.hpp>
#include <weft/fiber/diagnostics.hpp>

namespace weft::co::detail {

void used_after_move() noexcept {
  weft::detail::misuse("a generator that was moved from was asked for a value");
}

void begun_twice() noexcept {
  weft::detail::misuse("a generator was asked for its first value for the second time");
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
                    "a co::task was dropped before it was awaited, and has never run: %s:%u, %s",
                    where.file_name(), static_cast<unsigned>(where.line()), where.function_name());
  diagnose({line.data(), std::min(static_cast<std::size_t>(std::max(size, 0)), line.size() - 1)});
}

}  // namespace weft::co::detail
