// A length of time, of whatever type of std::chrono.
#pragma once

#include <chrono>

namespace weft {

/// A duration of any type, in nanoseconds, rounded up; what lies beyond their range (292 years)
/// becomes the longest or shortest there is, so that `std::chrono::hours::max()` means for ever.
class any_duration {
public:
  template <class Rep, class Period>
  // NOLINTNEXTLINE(google-explicit-constructor)
  constexpr any_duration(std::chrono::duration<Rep, Period> length) noexcept
      : nanoseconds_(saturate(length)) {}

  constexpr std::chrono::nanoseconds nanoseconds() const noexcept { return nanoseconds_; }

private:
  template <class Rep, class Period>
  static constexpr std::chrono::nanoseconds
  saturate(std::chrono::duration<Rep, Period> length) noexcept {
    using wide = std::chrono::duration<long double, std::nano>;
    constexpr auto most = std::chrono::nanoseconds::max();
    constexpr auto least = std::chrono::nanoseconds::min();
    if (wide{length} >= wide{most}) return most;
    if (!(wide{length} > wide{least})) return least;  // no number either
    return std::chrono::ceil<std::chrono::nanoseconds>(length);
  }

  std::chrono::nanoseconds nanoseconds_;
};

}  // namespace weft
