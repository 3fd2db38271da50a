// The seed of tests with random input.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>

namespace weft::test {

/// Returns and prints a seed, each time another; WEFT_TEST_SEED repeats a run that failed.
inline std::uint64_t fresh_seed() {
  const char* const wanted = std::getenv("WEFT_TEST_SEED");
  const std::uint64_t seed = wanted ? std::strtoull(wanted, nullptr, 10) : std::random_device{}();
  std::cout << "seed " << seed << " (WEFT_TEST_SEED)\n";
  return seed;
}

}  // namespace weft::test
