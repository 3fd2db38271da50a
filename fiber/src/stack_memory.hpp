// The pages behind stacks: mapping them, guarding them, giving them back, seeing which are used.
// Threads: any.
#pragma once

#include <cstddef>

#include <weft/fiber/runtime.hpp>

namespace weft::detail {

inline constexpr std::size_t page_size = 4096;  // x86-64 and the usual aarch64; runtime() checks

// Reserves `size` bytes of address space, zeroed on first touch, outside transparent huge pages
// (one touch would take 2 MiB). Null when there is none.
std::byte* map_stacks(std::size_t size) noexcept;
void unmap_stacks(std::byte* base, std::size_t size) noexcept;

// Whether the kernel has guard pages that cost no mapping (MADV_GUARD_INSTALL, Linux 6.13).
bool kernel_has_light_guards() noexcept;

// Makes the lowest page of a stack fault on access; `light` if the kernel lets us, which it does
// not in locked memory (mlockall(2)).
bool install_guard(std::byte* page, bool light) noexcept;

// Gives the memory of [begin, end) back; it reads as zeros afterwards.
void give_back(std::byte* begin, std::byte* end) noexcept;

// The lowest address in [begin, end) whose page is in memory; `end` if there is none.
std::byte* lowest_resident(std::byte* begin, std::byte* end) noexcept;

}  // namespace weft::detail
