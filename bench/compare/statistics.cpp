#include "statistics.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace weft::compare {
namespace {

std::vector<double> sorted(std::span<const double> values) {
  std::vector<double> copy{values.begin(), values.end()};
  std::sort(copy.begin(), copy.end());
  return copy;
}

double middle(const std::vector<double>& ordered) {
  if (ordered.empty()) return 0;
  const std::size_t half = ordered.size() / 2;
  return ordered.size() % 2 == 1 ? ordered[half] : (ordered[half - 1] + ordered[half]) / 2;
}

// The logarithm, since the plain coefficient leaves the range of a double at about 1,000 values.
double log_binomial(std::size_t n, std::size_t k) {
  const auto log_factorial = [](std::size_t m) { return std::lgamma(static_cast<double>(m) + 1); };
  return log_factorial(n) - log_factorial(k) - log_factorial(n - k);
}

}  // namespace

double median(std::span<const double> values) { return middle(sorted(values)); }

double confidence_of_rank(std::size_t count, std::size_t rank) {
  // Each value falls on either side of the true median with equal chance: the interval misses it
  // only when fewer than `rank` values fall on one side.
  double tail = 0;
  for (std::size_t k = 0; k < rank && k <= count; ++k) {
    tail += std::exp(log_binomial(count, k) - static_cast<double>(count) * std::log(2.0));
  }
  return std::max(0.0, 1 - 2 * tail);
}

estimate estimate_median(std::span<const double> values) {
  const std::vector<double> ordered = sorted(values);
  estimate result;
  result.count = ordered.size();
  if (ordered.empty()) return result;
  std::size_t rank = 1;
  while (2 * (rank + 1) <= ordered.size() &&
         confidence_of_rank(ordered.size(), rank + 1) >= wanted_confidence) {
    ++rank;
  }
  result.median = middle(ordered);
  result.low = ordered[rank - 1];
  result.high = ordered[ordered.size() - rank];
  result.confidence = confidence_of_rank(ordered.size(), rank);
  return result;
}

}  // namespace weft::compare
