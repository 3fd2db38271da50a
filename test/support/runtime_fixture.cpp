#include "support/runtime_fixture.hpp"

#include <chrono>
#include <unistd.h>

#include "scheduler.hpp"

namespace weft::test {
namespace {

// Ends a test that hangs, it measures nothing; instrumented code is several times slower.
constexpr unsigned watchdog_seconds = under_asan || under_tsan ? 240 : 60;

}  // namespace

std::size_t live_fibers() {
  const auto* const worker = detail::scheduler::running();
  return worker != nullptr ? worker->live_fibers() : 0;
}

[[gnu::noinline]] void use_stack(std::size_t bytes) {
  constexpr std::size_t step = 1024;
  auto* const block = static_cast<volatile char*>(__builtin_alloca(bytes));
  for (std::size_t i = 0; i < bytes; i += step) block[bytes - 1 - i] = 1;
}

void runtime_test::SetUp() {
  const ::testing::TestInfo& test = *::testing::UnitTest::GetInstance()->current_test_info();
  watchdog_.emplace(std::string{test.test_suite_name()} + "." + test.name(),
                    std::chrono::seconds{watchdog_seconds});
  descriptors_.emplace(&complain);
  former_sink_ = set_diagnostics_sink([this](std::string_view line) {
    const std::lock_guard hold{lock_};
    lines_.emplace_back(line);
  });
}

void runtime_test::TearDown() {
  set_diagnostics_sink(std::move(former_sink_));
  for (const std::string& line : take_diagnostics()) {
    ADD_FAILURE() << "a diagnostic that the test does not expect: " << line;
  }
  EXPECT_EQ(this_fiber::get_id(), fiber_id{}) << "the thread still runs a runtime";
  descriptors_.reset();
  watchdog_.reset();
}

void runtime_test::enter_death_test() {
  set_diagnostics_sink({});
  ::alarm(watchdog_seconds / 2);  // not inherited by the child of a fork
}

std::vector<std::string> runtime_test::take_diagnostics() {
  const std::lock_guard hold{lock_};
  return std::exchange(lines_, {});
}

void runtime_test::complain(const std::string& leak) { ADD_FAILURE() << "left over: " << leak; }

}  // namespace weft::test
