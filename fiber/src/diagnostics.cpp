#include <cstdio>
#include <mutex>
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
  std::fprintf(stderr, "weft: %.*s\n", static_cast<int>(line.size()), line.data());
}

}  // namespace weft
