#include <array>
#include <cerrno>
#include <mutex>
#include <sys/uio.h>
#include <unistd.h>
#include <utility>

#include <weft/fiber/diagnostics.hpp>

namespace weft {
namespace {

// A plain thread lock: it is held for one line, and never across a wait of a fiber.
std::mutex sink_lock;
diagnostics_sink sink;

}  // namespace

diagnostics_sink set_diagnostics_sink(diagnostics_sink replacement) {
  const std::lock_guard hold{sink_lock};
  return std::exchange(sink, std::move(replacement));
}

void diagnose(std::string_view line) noexcept {
  const std::lock_guard hold{sink_lock};
  if (sink) return sink(line);
  // In one write, so that lines of several processes do not mix; and not by stdio, which takes 8
  // KiB of what may be a fiber's stack.
  constexpr std::string_view prefix = "weft: ";
  constexpr std::string_view end = "\n";
  std::array<iovec, 3> parts{};
  for (std::size_t i = 0; const std::string_view part : {prefix, line, end}) {
    parts[i++] = {const_cast<char*>(part.data()), part.size()};
  }
  while (::writev(STDERR_FILENO, parts.data(), parts.size()) < 0 && errno == EINTR) {
  }
}

}  // namespace weft
