#include <cstdlib>
#include <new>
#include <string>

#include <weft/fiber/detail/worker.hpp>
#include <weft/fiber/diagnostics.hpp>
#include <weft/fiber/this_fiber.hpp>

namespace weft::detail {

void misuse(std::string_view what) noexcept {
  try {
    const std::string name = this_fiber::name();
    diagnose(std::string(what) + (name.empty() ? "" : " (in fiber \"" + name + "\")"));
  } catch (const std::bad_alloc&) {
    diagnose(what);
  }
  std::abort();
}

}  // namespace weft::detail
