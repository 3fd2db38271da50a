#include "stress/last_words.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <csignal>
#include <cstddef>
#include <unistd.h>

// Of the sanitizers, if there is one.
// NOLINTBEGIN(readability-identifier-naming,bugprone-reserved-identifier): their names
extern "C" {
[[gnu::weak]] void __sanitizer_set_death_callback(void (*callback)());
// ThreadSanitizer calls it for each report.
void __tsan_on_report(void* report);
}

// NOLINTEND(readability-identifier-naming,bugprone-reserved-identifier)

namespace {

std::array<char, 128> line;
std::atomic<std::size_t> length = 0;  // released once the line is there

void say() {
  const std::size_t size = length.load(std::memory_order_acquire);
  if (size != 0) [[maybe_unused]]
    const auto written = ::write(STDERR_FILENO, line.data(), size);
}

// What the signal does by default comes next: the handler is gone.
void on_fault(int signal) {
  say();
  ::raise(signal);
}

// For those signals of which nobody else, such as a sanitizer, has taken care.
void install() {
  for (const int signal : {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV}) {
    struct sigaction former {};

    ::sigaction(signal, nullptr, &former);
    if ((former.sa_flags & SA_SIGINFO) != 0 || former.sa_handler != SIG_DFL) continue;

    struct sigaction mine {};

    mine.sa_handler = on_fault;
    mine.sa_flags = static_cast<int>(SA_RESETHAND | SA_NODEFER | SA_ONSTACK);
    ::sigaction(signal, &mine, nullptr);
  }
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(say);
}

}  // namespace

void __tsan_on_report(void* /*report*/) { say(); }

namespace weft::test::stress {

last_words::last_words(std::string_view before, std::uint64_t number) noexcept {
  [[maybe_unused]] static const bool installed = (install(), true);
  constexpr std::size_t digits = 20;
  const std::size_t text = std::min(before.size(), line.size() - digits - 1);
  std::copy_n(before.data(), text, line.data());
  char* const end = std::to_chars(line.data() + text, line.data() + line.size(), number).ptr;
  *end = '\n';
  length.store(static_cast<std::size_t>(end + 1 - line.data()), std::memory_order_release);
}

last_words::~last_words() { length.store(0, std::memory_order_release); }

}  // namespace weft::test::stress
