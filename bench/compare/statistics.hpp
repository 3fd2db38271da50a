// The few statistics of the comparison: a median, and how far it can be trusted.
//
// Intervals come from order statistics: no assumption is made about the distribution, and an
// outlier moves nothing. Threads: pure functions.
#pragma once

#include <cstddef>
#include <span>

namespace weft::compare {

/// A median and the interval in which the true one lies.
struct estimate {
  double median = 0;
  double low = 0;
  double high = 0;
  double confidence = 0;  ///< that the true median is between `low` and `high`: 0 to 1
  std::size_t count = 0;  ///< of the values

  /// Tells whether `value` may be the true median for all that the values tell; false when there
  /// are too few of them to tell anything.
  bool may_be(double value) const noexcept { return count >= 2 && low <= value && value <= high; }
};

/// The confidence that an interval is to have.
inline constexpr double wanted_confidence = 0.95;

/// The smallest number of values whose range is an interval of the wanted confidence.
inline constexpr std::size_t enough_values = 6;

/// Returns the median of `values`, the mean of the two in the middle when their number is even; 0
/// when there are none.
double median(std::span<const double> values);

/// Returns the probability that the median of the distribution lies between the values of rank
/// `rank` from below and from above, of `count` values; ranks start at 1.
double confidence_of_rank(std::size_t count, std::size_t rank);

/// Returns the median of `values` with the narrowest interval around it that has the wanted
/// confidence; with fewer than `enough_values` the range of all, which has less.
estimate estimate_median(std::span<const double> values);

}  // namespace weft::compare
