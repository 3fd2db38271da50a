#include <new>
#include <string>

#include <weft/fiber/detail/worker.hpp>
#include <weft/fiber/this_fiber.hpp>

#include "last_words.hpp"

namespace weft::detail {

void misuse(std::string_view what) noexcept {
  try {
    const std::string name = this_fiber::name();
    end_process(std::string(what) + (name.empty() ? "" : " (in fiber \"" + name + "\")"));
  } catch (const std::bad_alloc&) {
    end_process(what);
  }
}

}  // namespace weft::detail
