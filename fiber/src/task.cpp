#include <system_error>

#include <weft/fiber/detail/task.hpp>
#include <weft/fiber/error.hpp>

namespace weft::detail {

const std::exception_ptr& cancelled_before_start() {
  // Never destroyed: fibers may be dropped while the process exits.
  static const auto& made = *new std::exception_ptr(std::make_exception_ptr(
      std::system_error(make_error_code(errc::cancelled), "fiber cancelled before it started")));
  return made;
}

}  // namespace weft::detail
