#include <cstdlib>
#include <string>

#include <weft/fiber/detail/worker.hpp>
#include <weft/fiber/diagnostics.hpp>
#include <weft/fiber/this_fiber.hpp>

namespace weft::detail {

void misuse(std::string_view what) noexcept {
  const std::string name = this_fiber::name();
  diagnose(std::string(what) + (name.empty() ? "" : " (in fiber \"" + name + "\")"));
  std::abort();
}

}  // namespace weft::detail
