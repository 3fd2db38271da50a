// What weft::this_fiber does, for coroutines: give way, sleep.
//
// Threads: coroutines of any worker.
#pragma once

#include <chrono>
#include <system_error>

#include <weft/fiber/detail/co_wait.hpp>
#include <weft/fiber/detail/wait.hpp>
#include <weft/fiber/duration.hpp>

namespace weft::co {

namespace detail {

class [[nodiscard]] sleep final : public weft::detail::co_operation<sleep> {
public:
  // In place of a deadline: had passed when the operation was made.
  static constexpr auto only_yields = std::chrono::steady_clock::time_point::min();

  sleep(std::chrono::steady_clock::time_point deadline, weft::detail::error_to error) noexcept
      : deadline_(deadline), error_(error) {}

  bool start() noexcept;
  bool go_on() noexcept;

  void await_resume() const { error_.report(); }

private:
  const std::chrono::steady_clock::time_point deadline_;
  weft::detail::co_error error_;
  bool waits_ = false;
};

class [[nodiscard]] give_way final : public weft::detail::co_operation<give_way> {
public:
  give_way() noexcept = default;

  bool start() noexcept;

  bool go_on() noexcept { return true; }

  void await_resume() const noexcept {}
};

// The deadline of a sleep; each reads the clock once.
inline std::chrono::steady_clock::time_point
unless_passed(std::chrono::steady_clock::time_point deadline) noexcept {
  return weft::detail::has_passed(deadline) ? sleep::only_yields : deadline;
}

inline std::chrono::steady_clock::time_point deadline_of_sleep(any_duration duration) noexcept {
  return duration.nanoseconds().count() <= 0 ? sleep::only_yields
                                             : weft::detail::deadline_after(duration);
}

}  // namespace detail

/// As this_fiber::yield(): `co_await co::yield()`.
inline detail::give_way yield() noexcept { return detail::give_way{}; }

/// As this_fiber::sleep_until().
inline detail::sleep sleep_until(std::chrono::steady_clock::time_point deadline,
                                 std::error_code& ec) noexcept {
  return {detail::unless_passed(deadline), weft::detail::error_to{ec}};
}

inline detail::sleep sleep_until(std::chrono::steady_clock::time_point deadline) noexcept {
  return {detail::unless_passed(deadline), weft::detail::error_to{"co::sleep"}};
}

/// As this_fiber::sleep_for().
inline detail::sleep sleep_for(any_duration duration, std::error_code& ec) noexcept {
  return {detail::deadline_of_sleep(duration), weft::detail::error_to{ec}};
}

inline detail::sleep sleep_for(any_duration duration) noexcept {
  return {detail::deadline_of_sleep(duration), weft::detail::error_to{"co::sleep"}};
}

}  // namespace weft::co
