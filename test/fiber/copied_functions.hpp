// Functions that do something when they are copied, for tests of how fibers are spawned.
#pragma once

#include <array>
#include <cstddef>
#include <stdexcept>

#include <weft/fiber.hpp>

namespace weft::test {

/// A function of any size whose copy throws.
template <std::size_t Size = 1>
struct throws_when_copied {
  throws_when_copied() = default;

  throws_when_copied(const throws_when_copied& /*other*/) { throw std::runtime_error("copied"); }

  throws_when_copied& operator=(const throws_when_copied&) = delete;
  ~throws_when_copied() = default;

  void operator()() const {}

  std::array<char, Size> ballast{};
};

/// A function whose copy gives way, in which time somebody may look at where it goes, or cancel it.
struct yields_when_copied {
  explicit yields_when_copied(bool& has_run) : ran(has_run) {}

  yields_when_copied(const yields_when_copied& other) : ran(other.ran) { this_fiber::yield(); }

  yields_when_copied& operator=(const yields_when_copied&) = delete;
  ~yields_when_copied() = default;

  void operator()() const { ran = true; }

  bool& ran;
};

}  // namespace weft::test
