#include "limited_memory.hpp"

#include <cstddef>
#include <cstdlib>
#include <limits>
#include <new>

namespace {

constexpr long any_number = std::numeric_limits<long>::max();

// How many more allocations of this thread succeed.
thread_local long allocations_left = any_number;

}  // namespace

namespace weft::test {

limited_memory::limited_memory(long allocations) noexcept { allocations_left = allocations; }

limited_memory::~limited_memory() { allocations_left = any_number; }

}  // namespace weft::test

void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  if (allocations_left == 0) return nullptr;
  if (allocations_left != any_number) --allocations_left;
  return std::malloc(size);
}

void* operator new(std::size_t size) {
  void* const place = ::operator new(size, std::nothrow);
  if (place == nullptr) throw std::bad_alloc();
  return place;
}

void operator delete(void* place) noexcept { std::free(place); }

void operator delete(void* place, std::size_t) noexcept { std::free(place); }

void operator delete(void* place, const std::nothrow_t&) noexcept { std::free(place); }
