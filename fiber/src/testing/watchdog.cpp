#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <unistd.h>

#include <weft/fiber/dump.hpp>
#include <weft/fiber/testing/watchdog.hpp>

namespace weft::testing {
namespace {

// What the handler writes first, composed before, for it may not.
std::array<char, 256> last_words;
std::size_t last_words_size = 0;

extern "C" void weft_watchdog_barks(int /*signal*/) {
  // Should the dump hang too.
  std::signal(SIGALRM, SIG_DFL);
  ::alarm(2);
  if (::write(STDERR_FILENO, last_words.data(), last_words_size) < 0) std::_Exit(1);
  dump(STDERR_FILENO);
  std::abort();
}

}  // namespace

watchdog::watchdog(std::string_view test_name, std::chrono::seconds limit) noexcept : former_{} {
  const auto seconds = static_cast<unsigned>(std::max<std::chrono::seconds::rep>(1, limit.count()));
  const int size = std::snprintf(last_words.data(), last_words.size(),
                                 "watchdog: %.*s has not ended after %u s\n",
                                 static_cast<int>(test_name.size()), test_name.data(), seconds);
  last_words_size = std::min(static_cast<std::size_t>(std::max(size, 0)), last_words.size() - 1);

  struct sigaction action {};

  action.sa_handler = weft_watchdog_barks;
  action.sa_flags = SA_ONSTACK;
  ::sigaction(SIGALRM, &action, &former_);
  ::alarm(seconds);
}

watchdog::~watchdog() {
  ::alarm(0);
  ::sigaction(SIGALRM, &former_, nullptr);
}

}  // namespace weft::testing
