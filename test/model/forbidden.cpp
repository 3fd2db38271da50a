#include "forbidden.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <malloc.h>
#include <new>
#include <span>

#include "execution.hpp"
#include "schedule_point.hpp"

namespace weft::model {
namespace {

struct range {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;

  bool contains(std::uintptr_t address) const noexcept { return begin <= address && address < end; }
};

// A fixed number of them: it is asked of where memory is given back.
class ranges {
public:
  bool add(const void* place, std::size_t size) noexcept {
    if (count_ == all_.size()) return false;
    const auto begin = reinterpret_cast<std::uintptr_t>(place);
    all_[count_++] = {begin, begin + size};
    return true;
  }

  void remove_within(const void* place, std::size_t size) noexcept {
    const auto begin = reinterpret_cast<std::uintptr_t>(place);
    const range outer{begin, begin + size};
    const auto left =
        std::ranges::remove_if(all_.begin(), all_.begin() + static_cast<std::ptrdiff_t>(count_),
                               [&](const range& each) { return outer.contains(each.begin); });
    count_ -= left.size();
  }

  void clear() noexcept { count_ = 0; }

  std::span<const range> all() const noexcept { return {all_.data(), count_}; }

  bool contain(const void* object) const noexcept {
    const auto address = reinterpret_cast<std::uintptr_t>(object);
    return std::ranges::any_of(all(), [&](const range& each) { return each.contains(address); });
  }

private:
  std::array<range, 4'096> all_;
  std::size_t count_ = 0;
};

constinit ranges hidden;
constinit ranges deleted;

}  // namespace

void forbid(const void* place, std::size_t size) noexcept { hidden.add(place, size); }

void permit(const void* place, std::size_t size) noexcept { hidden.remove_within(place, size); }

bool is_forbidden(const void* object) noexcept {
  return hidden.contain(object) || deleted.contain(object);
}

void free_what_was_kept() noexcept {
  for (const range& each : deleted.all()) std::free(reinterpret_cast<void*>(each.begin));
  deleted.clear();
}

namespace {

// What somebody reads there afterwards is not what was there.
[[maybe_unused]] void keep_or_free(void* place) noexcept {
  constexpr int nobody_wrote_this = 0xa5;
  const std::size_t size = place != nullptr && in_run() ? ::malloc_usable_size(place) : 0;
  if (size == 0 || !deleted.add(place, size)) return std::free(place);
  std::memset(place, nobody_wrote_this, size);
}

}  // namespace
}  // namespace weft::model

// The sanitizers have their own, which see more.
#ifndef WEFT_MODEL_SANITIZED
void operator delete(void* place) noexcept { weft::model::keep_or_free(place); }

void operator delete(void* place, std::size_t /*size*/) noexcept {
  weft::model::keep_or_free(place);
}

void operator delete(void* place, std::align_val_t /*alignment*/) noexcept {
  weft::model::keep_or_free(place);
}

void operator delete(void* place, std::size_t /*size*/, std::align_val_t /*alignment*/) noexcept {
  weft::model::keep_or_free(place);
}
#endif
