#include "pattern.hpp"

#include <random>

namespace weft::load {

pattern::pattern() : block_(period + piece) {
  // Always the same bytes: what went wrong in one run can be looked at in the next.
  std::mt19937 random(20240229);
  for (std::size_t i = 0; i < period; ++i) block_[i] = static_cast<std::byte>(random() & 0xff);
  for (std::size_t i = period; i < block_.size(); ++i) block_[i] = block_[i - period];
}

std::size_t pattern::count_wrong(std::span<const std::byte> received,
                                 std::uint32_t phase) const noexcept {
  const std::byte* expected = at(phase);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < received.size(); ++i) wrong += received[i] != expected[i];
  return wrong;
}

}  // namespace weft::load
