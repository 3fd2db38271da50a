// Counts durations in log-linear buckets: percentiles with less than 1 % error from a fixed array.
//
// Threads: none of its own; trivially copyable, so that it can live in memory shared by processes.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace weft::load {

class histogram {
public:
  /// Counts one duration; a negative one counts as zero.
  void record(std::chrono::nanoseconds duration) noexcept {
    const std::uint64_t value =
        duration.count() > 0 ? static_cast<std::uint64_t>(duration.count()) : 0;
    ++counts_[bucket_of(value)];
    ++count_;
    max_ = std::max(max_, value);
  }

  /// Counts `count` durations: `longest`, and each next one shorter by `step` nanoseconds, at least
  /// 1. Costs a step for each bucket they touch, however many they are.
  void record_evenly(std::chrono::nanoseconds longest, double step, std::uint64_t count) noexcept {
    const double first = static_cast<double>(std::max<std::int64_t>(longest.count(), 0));
    for (std::uint64_t done = 0; done < count;) {
      const double left = std::max(first - static_cast<double>(done) * step, 0.0);
      const auto value = static_cast<std::uint64_t>(left);
      const std::uint64_t within = value - lowest_of(bucket_of(value));
      std::uint64_t same = static_cast<std::uint64_t>(static_cast<double>(within) / step) + 1;
      if (value == 0 || same > count - done) same = count - done;
      counts_[bucket_of(value)] += same;
      count_ += same;
      max_ = std::max(max_, value);
      done += same;
    }
  }

  /// Adds all that `other` has counted.
  void add(const histogram& other) noexcept {
    for (std::size_t i = 0; i < buckets; ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    max_ = std::max(max_, other.max_);
  }

  std::uint64_t count() const noexcept { return count_; }

  /// Returns the longest duration counted, exactly; zero when there is none.
  std::chrono::nanoseconds max() const noexcept {
    return std::chrono::nanoseconds(static_cast<std::int64_t>(max_));
  }

  /// Returns the duration that `percent` (0 to 100) of those counted do not exceed, the nearest
  /// rank's, less than 1 % off and never above max(); zero when nothing was counted.
  std::chrono::nanoseconds percentile(double percent) const noexcept {
    if (count_ == 0) return std::chrono::nanoseconds::zero();
    const double exact_rank = std::ceil(percent / 100.0 * static_cast<double>(count_));
    const std::uint64_t rank =
        std::clamp<std::uint64_t>(static_cast<std::uint64_t>(exact_rank), 1, count_);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets; ++i) {
      seen += counts_[i];
      if (seen >= rank) {
        return std::chrono::nanoseconds(static_cast<std::int64_t>(std::min(middle_of(i), max_)));
      }
    }
    return max();
  }

private:
  // Each octave [2^k, 2^(k+1)) has 128 buckets, so a bucket is at most 1/128 of its values wide and
  // its middle is at most 0.4 % off. Values below 256 have a bucket each.
  static constexpr unsigned octave_bits = 7;
  static constexpr std::size_t per_octave = std::size_t{1} << octave_bits;
  static constexpr std::size_t buckets = (64 - octave_bits + 1) * per_octave;

  static constexpr std::size_t bucket_of(std::uint64_t value) noexcept {
    if (value < 2 * per_octave) return static_cast<std::size_t>(value);
    const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - octave_bits - 1;
    return shift * per_octave + static_cast<std::size_t>(value >> shift);
  }

  static constexpr std::size_t shift_of(std::size_t bucket) noexcept {
    return bucket < 2 * per_octave ? 0 : bucket / per_octave - 1;
  }

  static constexpr std::uint64_t lowest_of(std::size_t bucket) noexcept {
    const std::size_t shift = shift_of(bucket);
    return std::uint64_t{bucket - shift * per_octave} << shift;
  }

  static constexpr std::uint64_t middle_of(std::size_t bucket) noexcept {
    return lowest_of(bucket) + (std::uint64_t{1} << shift_of(bucket)) / 2;
  }

  std::array<std::uint64_t, buckets> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace weft::load
