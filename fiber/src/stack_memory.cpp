#include "stack_memory.hpp"

#include <cerrno>
#include <sys/mman.h>
#include <unistd.h>

#include "known_once.hpp"

namespace weft::detail {
namespace {

// linux/mman.h of 6.13; Debian 12's headers do not have it yet.
constexpr int madv_guard_install = 102;

}  // namespace

std::byte* map_stacks(std::size_t size) noexcept {
  void* const base = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) return nullptr;
  // Fails only where the kernel has no huge pages at all.
  ::madvise(base, size, MADV_NOHUGEPAGE);
  return static_cast<std::byte*>(base);
}

void unmap_stacks(std::byte* base, std::size_t size) noexcept { ::munmap(base, size); }

bool kernel_has_light_guards() noexcept {
  static constinit known_once known;
  return known.get([] {
    void* const page =
        ::mmap(nullptr, page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return false;
    const bool installed = ::madvise(page, page_size, madv_guard_install) == 0;
    ::munmap(page, page_size);
    return installed;
  });
}

bool install_guard(std::byte* page, bool light) noexcept {
  if (light) {
    int result = 0;
    // EAGAIN means that a signal interrupted it (man 2 madvise).
    while ((result = ::madvise(page, page_size, madv_guard_install)) != 0 && errno == EAGAIN) {
    }
    if (result == 0) return true;
  }
  return ::mprotect(page, page_size, PROT_NONE) == 0;
}

void give_back(std::byte* begin, std::byte* end) noexcept {
  // Cannot fail for a range of our own mapping; if it did, only memory would be kept.
  if (begin < end) ::madvise(begin, static_cast<std::size_t>(end - begin), MADV_DONTNEED);
}

std::byte* lowest_resident(std::byte* begin, std::byte* end) noexcept {
  std::byte* found = end;
  for_each_resident_page(begin, end, [&](std::byte* page) {
    found = page;
    return false;
  });
  return found;
}

}  // namespace weft::detail
