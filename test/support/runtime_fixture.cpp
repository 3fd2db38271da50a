#include "support/runtime_fixture.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <dirent.h>
#include <sys/types.h>
#include <unistd.h>

#include "scheduler.hpp"

namespace weft::test {
namespace {

// Ends a test that hangs, it measures nothing; instrumented code is several times slower.
constexpr unsigned watchdog_seconds = under_asan || under_tsan ? 240 : 60;

// What the handler of SIGALRM writes, composed before, for it may not.
std::array<char, 256> last_words;
std::size_t last_words_size = 0;

extern "C" void weft_test_hangs(int /*signal*/) {
  if (::write(STDERR_FILENO, last_words.data(), last_words_size) < 0) std::_Exit(1);
  std::abort();
}

// By a signal, not by a thread: death tests fork, and a process with one thread can.
void start_watchdog() {
  const testing::TestInfo& test = *testing::UnitTest::GetInstance()->current_test_info();
  const int size = std::snprintf(last_words.data(), last_words.size(),
                                 "watchdog: %s.%s has not ended after %u s\n",
                                 test.test_suite_name(), test.name(), watchdog_seconds);
  last_words_size = std::min(static_cast<std::size_t>(size), last_words.size() - 1);

  struct sigaction action {};

  action.sa_handler = weft_test_hangs;
  ::sigaction(SIGALRM, &action, nullptr);
  ::alarm(watchdog_seconds);
}

void stop_watchdog() {
  ::alarm(0);
  std::signal(SIGALRM, SIG_DFL);
}

std::string target_of(int fd) {
  std::array<char, 256> target;
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t size = ::readlink(link.c_str(), target.data(), target.size());
  return size < 0 ? "?" : std::string(target.data(), static_cast<std::size_t>(size));
}

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

std::vector<std::pair<int, std::string>> open_descriptors() {
  std::vector<std::pair<int, std::string>> found;
  DIR* const folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) return found;
  while (const dirent* const entry = ::readdir(folder)) {
    if (entry->d_name[0] == '.') continue;
    const int fd = std::atoi(entry->d_name);
    if (fd != ::dirfd(folder)) found.emplace_back(fd, target_of(fd));
  }
  ::closedir(folder);
  std::ranges::sort(found);
  return found;
}

void runtime_test::SetUp() {
  start_watchdog();
  descriptors_ = open_descriptors();
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
  EXPECT_EQ(open_descriptors(), descriptors_) << "descriptors were left open";
  stop_watchdog();
}

void runtime_test::enter_death_test() {
  set_diagnostics_sink({});
  ::alarm(watchdog_seconds / 2);  // not inherited by the child of a fork
}

std::vector<std::string> runtime_test::take_diagnostics() {
  const std::lock_guard hold{lock_};
  return std::exchange(lines_, {});
}

runtime_test::at_end::~at_end() {
  EXPECT_EQ(live_fibers(), 0u) << "fibers that nobody has waited for";
}

}  // namespace weft::test
