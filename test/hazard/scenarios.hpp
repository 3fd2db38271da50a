// Programs on fiber/ and net/ that come to an end whatever call fails, and tell of it.
//
// Each makes its runtimes, runs them, and destroys them; when a task of it fails, the others are
// cancelled. Without a failure it checks that everything came out as it should.
#pragma once

#include <concepts>
#include <exception>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <utility>

#include <weft/fiber.hpp>
#include <weft/fiber/testing.hpp>

#include "outcome.hpp"

namespace weft::test {

struct scenario {
  const char* name;
  void (*play)(outcome& result, const runtime_options& options);
};

/// For the names of tests.
inline void PrintTo(const scenario& each, std::ostream* to) { *to << each.name; }

/// Those that need no socket.
std::span<const scenario> fiber_scenarios();
/// Of coroutines, without sockets.
std::span<const scenario> coroutine_scenarios();
/// Of connections.
std::span<const scenario> socket_scenarios();
/// Of streams and datagrams.
std::span<const scenario> message_scenarios();

/// What the runtime of the caller holds, looked at without being disturbed: nothing more at the
/// end.
class holds_no_more {
public:
  explicit holds_no_more(outcome& result) {
    const undisturbed while_counting;
    check_.emplace([&result](const std::string& line) { result.expect(false, line); });
  }

  holds_no_more(const holds_no_more&) = delete;
  holds_no_more& operator=(const holds_no_more&) = delete;

  ~holds_no_more() {
    const undisturbed while_counting;
    check_.reset();
  }

private:
  std::optional<testing::leak_check> check_;
};

/// Runs `main_function()` in a runtime of its own, which must hold nothing when it has returned.
/// Notes what fails.
template <std::invocable Function>
void run_noting(outcome& result, const runtime_options& options, Function main_function) {
  result.attempt([&] {
    runtime instance{options};
    instance.run([&] {
      const holds_no_more afterwards{result};
      result.attempt(main_function);
    });
  });
}

/// Notes what the tasks of a group have thrown, once they have ended; what they threw on purpose
/// aside. If `spawn_all` throws, they are cancelled.
template <std::invocable<task_group&> Function>
void in_group(outcome& result, Function&& spawn_all) {
  task_group group;
  if (!result.attempt([&] { spawn_all(group); })) group.request_cancel();
  std::error_code ec;
  group.join(ec);
  result.note(ec);
  const undisturbed while_noting;
  for (const std::exception_ptr& each : group.errors()) {
    result.attempt([&] { std::rethrow_exception(each); });
  }
}

}  // namespace weft::test
