#include "progress.hpp"

#include <algorithm>
#include <cstdio>
#include <unistd.h>

#include <fmt/format.h>

#include "text.hpp"

namespace weft::compare {

progress_line::progress_line(std::uint32_t rounds, std::chrono::duration<double> expected)
    : active_{::isatty(STDERR_FILENO) == 1}, rounds_{rounds}, all_{expected},
      begin_{std::chrono::steady_clock::now()} {}

// What is still expected, corrected by how wrong the expectation has been so far.
std::chrono::seconds progress_line::left() const {
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin_;
  const double wrong_by = done_.count() > 0 ? passed / done_ : 1;
  const std::chrono::duration<double> rest = std::max(all_ - done_, done_ * 0) * wrong_by;
  return std::chrono::ceil<std::chrono::seconds>(rest);
}

void progress_line::show(std::uint32_t round, const load_case& load, const server& what) {
  if (!active_) return;
  constexpr int width = 12;
  const double share = std::min(1.0, all_.count() > 0 ? done_ / all_ : 1.0);
  const auto filled = static_cast<std::size_t>(share * width);
  const std::string where = round == 0 ? "warm-up" : fmt::format("round {} of {}", round, rounds_);
  fmt::print(stderr, "\r\033[K[{:<{}}] {:3.0f} %  {} left  {}, {}, {}", std::string(filled, '#'),
             width, share * 100, duration_text(left()), where, load.name(), what.name);
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
