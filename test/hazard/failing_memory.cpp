// operator new of every form, which fails on request: see faults.hpp.
#include <cstddef>
#include <cstdlib>
#include <new>

#include "faults.hpp"

namespace {

using weft::test::effect;
using weft::test::detail::count_allocations;
using weft::test::detail::next_strike;

void* allocate(std::size_t size, std::size_t alignment) noexcept {
  if (next_strike(weft::test::call::allocation).what != effect::none) return nullptr;
  void* place = nullptr;
  if (alignment <= alignof(std::max_align_t)) {
    place = std::malloc(size != 0 ? size : 1);
  } else if (::posix_memalign(&place, alignment, size) != 0) {
    place = nullptr;
  }
  if (place != nullptr) count_allocations(1);
  return place;
}

void* require(void* place) {
  if (place == nullptr) throw std::bad_alloc();
  return place;
}

void release(void* place) noexcept {
  if (place == nullptr) return;
  count_allocations(-1);
  std::free(place);
}

constexpr std::size_t ordinary = alignof(std::max_align_t);

std::size_t number(std::align_val_t alignment) noexcept {
  return static_cast<std::size_t>(alignment);
}

}  // namespace

void* operator new(std::size_t size) { return require(allocate(size, ordinary)); }

void* operator new[](std::size_t size) { return require(allocate(size, ordinary)); }

void* operator new(std::size_t size, const std::nothrow_t& /*tag*/) noexcept {
  return allocate(size, ordinary);
}

void* operator new[](std::size_t size, const std::nothrow_t& /*tag*/) noexcept {
  return allocate(size, ordinary);
}

void* operator new(std::size_t size, std::align_val_t alignment) {
  return require(allocate(size, number(alignment)));
}

void* operator new[](std::size_t size, std::align_val_t alignment) {
  return require(allocate(size, number(alignment)));
}

void* operator new(std::size_t size, std::align_val_t alignment,
                   const std::nothrow_t& /*tag*/) noexcept {
  return allocate(size, number(alignment));
}

void* operator new[](std::size_t size, std::align_val_t alignment,
                     const std::nothrow_t& /*tag*/) noexcept {
  return allocate(size, number(alignment));
}

void operator delete(void* place) noexcept { release(place); }

void operator delete[](void* place) noexcept { release(place); }

void operator delete(void* place, std::size_t /*size*/) noexcept { release(place); }

void operator delete[](void* place, std::size_t /*size*/) noexcept { release(place); }

void operator delete(void* place, const std::nothrow_t& /*tag*/) noexcept { release(place); }

void operator delete[](void* place, const std::nothrow_t& /*tag*/) noexcept { release(place); }

void operator delete(void* place, std::align_val_t /*alignment*/) noexcept { release(place); }

void operator delete[](void* place, std::align_val_t /*alignment*/) noexcept { release(place); }

void operator delete(void* place, std::size_t /*size*/, std::align_val_t /*alignment*/) noexcept {
  release(place);
}

void operator delete[](void* place, std::size_t /*size*/, std::align_val_t /*alignment*/) noexcept {
  release(place);
}

void operator delete(void* place, std::align_val_t /*alignment*/,
                     const std::nothrow_t& /*tag*/) noexcept {
  release(place);
}

void operator delete[](void* place, std::align_val_t /*alignment*/,
                       const std::nothrow_t& /*tag*/) noexcept {
  release(place);
}
