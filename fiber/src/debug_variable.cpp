// The variable WEFT_DEBUG of the environment.
#include <cstdlib>
#include <string_view>
#include <sys/prctl.h>

#include <weft/fiber/dump.hpp>

namespace weft::detail {

bool debugging_wants(std::string_view word) noexcept {
  const char* const variable = std::getenv("WEFT_DEBUG");
  std::string_view rest = variable != nullptr ? variable : "";
  while (!rest.empty()) {
    const std::size_t end = rest.find(',');
    if (rest.substr(0, end) == word) return true;
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  return false;
}

void let_others_look_if_wanted() noexcept {
  // Fails only where there is no such restriction (Yama) to be lifted.
  if (debugging_wants("ps")) ::prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
}

}  // namespace weft::detail
