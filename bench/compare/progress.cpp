#include "progress.hpp"

#include <algorithm>
#include <cstdio>
#include <unistd.h>

#include <fmt/format.h>

#include "text.hpp"

namespace weft::compare {

progress_line::progress_line(std::uint32_t rounds, std::chrono::duration<double> time_of_round)
    : active_{::isatty(STDERR_FILENO) == 1}, rounds_{rounds}, all_{rounds * time_of_round},
      begin_{std::chrono::steady_clock::now()} {}

// What is still expected, corrected by how wrong the expectation has been so far.
std::chrono::seconds progress_line::left() const {
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin_;
  const double wrong_by = done_.count() > 0 ? passed / done_ : 1;
  const std::chrono::duration<double> rest = std::max(all_ - done_, done_ * 0) * wrong_by;
  return std::chrono::ceil<std::chrono::seconds>(rest);
}

void progress_line::show(std::uint32_t rounds_done, const load_case& load, const server& what) {
  if (!active_) return;
  const double share = std::min(1.0, all_.count() > 0 ? done_ / all_ : 1.0);
  fmt::print(stderr, "\r\033[K{:3.0f} %  round {} of {}, {}, {}; {} left", share * 100,
             rounds_done + 1, rounds_, load.name(), what.name, duration_text(left()));
  std::fflush(stderr);
  shown_ = true;
}

void progress_line::add(std::chrono::duration<double> expected) { done_ += expected; }

void progress_line::clear() {
  if (!shown_) return;
  fmt::print(stderr, "\r\033[K");
  std::fflush(stderr);
  shown_ = false;
}

}  // namespace weft::compare
