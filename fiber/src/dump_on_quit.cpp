// SIGQUIT as a request for a dump.
#include <cerrno>
#include <csignal>
#include <mutex>
#include <unistd.h>

#include <weft/fiber/dump.hpp>

#include "process_mutex.hpp"

namespace weft {
namespace {

constinit detail::process_mutex counting_dumps;  // guards `dumps_wanted`
[[maybe_unused]] const bool forks_heed_counting = counting_dumps.list();
int dumps_wanted = 0;

extern "C" void weft_dump_on_quit(int /*signal*/) {
  const int saved_errno = errno;
  dump(STDERR_FILENO);
  errno = saved_errno;
}

// If SIGQUIT is acted on by `before`.
void replace_action(void (*before)(int), void (*after)(int)) noexcept {
  struct sigaction now {};

  ::sigaction(SIGQUIT, nullptr, &now);
  if ((now.sa_flags & SA_SIGINFO) != 0 || now.sa_handler != before) return;

  struct sigaction next {};

  next.sa_handler = after;
  next.sa_flags = SA_RESTART | SA_ONSTACK;  // a fiber may have little left of its own
  ::sigaction(SIGQUIT, &next, nullptr);
}

}  // namespace

dump_on_quit::dump_on_quit(bool wanted_here) noexcept : counted_(wanted_here) {
  if (!counted_) return;
  const std::lock_guard hold{counting_dumps};
  if (dumps_wanted++ == 0) replace_action(SIG_DFL, weft_dump_on_quit);
}

dump_on_quit::~dump_on_quit() {
  if (!counted_) return;
  const std::lock_guard hold{counting_dumps};
  if (--dumps_wanted == 0) replace_action(weft_dump_on_quit, SIG_DFL);
}

}  // namespace weft
