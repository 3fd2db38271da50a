#include "progress.hpp"

#include <chrono>
#include <cstdio>
#include <unistd.h>

#include <fmt/format.h>

namespace weft::load {

progress_line::progress_line(const options& settings)
    : settings_(settings), active_(::isatty(STDERR_FILENO) == 1), last_time_(clock::now()) {}

std::string progress_line::describe(std::uint64_t connections, std::uint64_t messages,
                                    std::optional<time_point> start) {
  if (!start) return fmt::format("connecting: {} of {}", connections, settings_.connections);
  const time_point now = clock::now();
  const std::chrono::duration<double> since_last = now - last_time_;
  const double per_second = static_cast<double>(messages - last_messages_) / since_last.count();
  last_messages_ = messages;
  last_time_ = now;
  const std::chrono::duration<double> passed = now - *start - settings_.warm_up;
  const std::chrono::duration<double> all = settings_.duration;
  std::string phase = "ending";
  if (passed.count() < 0) {
    phase = "warming up";
  } else if (passed < all) {
    phase = fmt::format("{:.0f} of {:.0f} s", passed.count(), all.count());
  }
  if (settings_.mode == load_mode::idle) return fmt::format("{}: {} held", phase, connections);
  return fmt::format("{}: {} connections, {:.0f} messages/s", phase, connections, per_second);
}

void progress_line::show(std::uint64_t connections, std::uint64_t messages,
                         std::optional<time_point> start) {
  if (!active_) return;
  fmt::print(stderr, "\r\033[K{}", describe(connections, messages, start));
  std::fflush(stderr);
  shown_ = true;
}

void progress_line::clear() {
  if (!shown_) return;
  fmt::print(stderr, "\r\033[K");
  std::fflush(stderr);
  shown_ = false;
}

}  // namespace weft::load
