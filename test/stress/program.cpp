#include "stress/program.hpp"

#include <array>
#include <system_error>

#include <weft/fiber.hpp>

namespace weft::test::stress {

bool is_expected(const std::exception_ptr& failure) noexcept {
  try {
    std::rethrow_exception(failure);
  } catch (const planned_failure&) {
    return true;
  } catch (const std::system_error& error) {
    return error.code() == errc::cancelled || error.code() == errc::timed_out ||
           error.code() == errc::closed;
  } catch (...) {
    return false;
  }
}

std::span<const program> all_programs() noexcept {
  static constexpr std::array programs{
      program{"play", play_with_all},         program{"groups", fail_in_groups},
      program{"handles", hand_out_handles},   program{"posts", post_to_two_runtimes},
      program{"shutdown", end_in_every_wait}, program{"moves", throw_in_moves},
  };
  return programs;
}

}  // namespace weft::test::stress
