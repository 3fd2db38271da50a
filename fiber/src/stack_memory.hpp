// The pages behind stacks: mapping them, guarding them, giving them back, seeing which are used.
// Threads: any.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <sys/mman.h>

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

// Calls `visit(page)` for the pages of [begin, end) that are in memory, the lowest first, while it
// returns true.
template <class Visit>
void for_each_resident_page(std::byte* begin, std::byte* end, Visit&& visit) noexcept {
  std::array<unsigned char, 256> pages;  // 1 MiB of stack at a time
  while (begin < end) {
    const auto length = std::min(static_cast<std::size_t>(end - begin), pages.size() * page_size);
    if (::mincore(begin, length, pages.data()) != 0) return;
    const std::size_t count = length / page_size;
    for (std::size_t i = 0; i < count; ++i) {
      if ((pages[i] & 1u) != 0 && !visit(begin + i * page_size)) return;
    }
    begin += length;
  }
}

// The lowest address in [begin, end) whose page is in memory; `end` if there is none.
std::byte* lowest_resident(std::byte* begin, std::byte* end) noexcept;

}  // namespace weft::detail
