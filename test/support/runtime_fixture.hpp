// The fixture of tests that run fibers: it ends each of them with a leak check.
//
// A test fails if it leaves descriptors open, if run() ends with fibers, stacks, timers, scopes or
// waits of any of its workers, if its thread still runs a runtime, or if a line was written to
// the diagnostics sink that it has not looked at. A test that hangs is ended with its name.
// Threads: diagnostics may come from any thread; the rest belongs to the thread of the test.
#pragma once

#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>
#include <weft/fiber/testing.hpp>

#include "support/sanitizers.hpp"

namespace weft::test {

/// More fibers than guard pages made of mappings would allow; under a sanitizer as many as it can
/// bear (libtsan dies at 8,128, and AddressSanitizer has shadow memory for each stack).
inline constexpr std::size_t very_many_fibers = under_asan || under_tsan ? 3'000 : 100'000;

/// Returns how many fibers, but for the main one, have not ended on the calling thread.
std::size_t live_fibers();

/// Touches the next `bytes` bytes of the stack it is called on.
void use_stack(std::size_t bytes);

class runtime_test : public ::testing::Test {
public:
  runtime_test(const runtime_test&) = delete;
  runtime_test& operator=(const runtime_test&) = delete;

protected:
  runtime_test() = default;

  void SetUp() override;
  void TearDown() override;

  /// Runs `main_function` in a runtime of its own, which must have ended all its fibers when it
  /// returns, and returns what it returns.
  template <class Function>
  std::invoke_result_t<Function> run(Function&& main_function, runtime_options options = {}) {
    runtime worker{options};
    return worker.run([&]() -> std::invoke_result_t<Function> {
      const testing::leak_check nothing_is_left{&complain};
      return std::forward<Function>(main_function)();
    });
  }

  /// To be called first in the statement of a death test: it makes diagnostics go to stderr, where
  /// the test looks for them, and has the child end too if it hangs.
  static void enter_death_test();

  /// Returns the lines written to the diagnostics sink since the last call, oldest first.
  std::vector<std::string> take_diagnostics();

private:
  static void complain(const std::string& leak);

  std::mutex lock_;  // guards `lines_`
  std::vector<std::string> lines_;
  std::optional<testing::leak_check> descriptors_;
  std::optional<testing::watchdog> watchdog_;
  diagnostics_sink former_sink_;
};

}  // namespace weft::test
