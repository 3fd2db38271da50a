// How often the program has asked malloc(3) and its like for memory.
//
// The program that links this has functions of these names of its own, in front of those of glibc,
// which counts what its libraries allocate too. Stacks that come from mmap(2) are not counted.
//
// Threads: any; counts what all of them allocate.
#pragma once

#include <cstdint>

namespace task_bench {

/// Returns the calls of malloc, calloc, realloc and aligned_alloc, of posix_memalign and memalign,
/// since the start of the program.
std::uint64_t allocations() noexcept;

}  // namespace task_bench
