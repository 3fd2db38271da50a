#include "stack_pool.hpp"

#include <algorithm>
#include <bit>
#include <mutex>
#include <utility>

#include "context/valgrind.hpp"
#include "stack_memory.hpp"

namespace weft::detail {
namespace {

constexpr std::size_t size_of_class(std::size_t size_class) noexcept {
  return stack_pool::smallest << size_class;
}

// Stack tops are page aligned, so that the hottest lines of all fibers would share a few sets of
// the cache. Sixteen colours of a line each spread them without needing another page.
constexpr std::size_t colours = 16;
constexpr std::size_t cache_line = 64;

}  // namespace

stack_pool::stack_pool(stack_guard guard)
    : guard_(guard), light_guards_(guard == stack_guard::automatic && kernel_has_light_guards()) {}

stack_pool::stack_pool(stack_guard guard, const worker_view& owner)
    : owner_(&owner), lock_(owner), guard_(guard),
      light_guards_(guard == stack_guard::automatic && kernel_has_light_guards()) {}

stack_pool::~stack_pool() {
  // Of fibers that a fork has left in the parent: something may point there.
  if (in_use_ != 0) return;
  for (stack& each : stacks_) {
    each.sanitizer.destroy();
    deregister_stack(each.valgrind_number);
  }
  for (const chunk& each : chunks_) unmap_stacks(each.base, each.size);
}

std::optional<std::uint8_t> stack_pool::class_of(std::size_t size) noexcept {
  if (size > largest) return std::nullopt;
  const std::size_t rounded = std::bit_ceil(std::max(size, smallest));
  const auto index = static_cast<std::size_t>(std::countr_zero(rounded / smallest));
  return static_cast<std::uint8_t>(std::min<std::size_t>(index + stack_enlargement_log2, 16));
}

std::size_t stack_pool::reserved(std::uint8_t size_class) const noexcept {
  const std::size_t by_spare = has_spare(size_class) && spare_is_promised_ ? 1 : 0;
  return classes_[size_class].reserved + by_spare;
}

bool stack_pool::reserve_another(std::uint8_t size_class, std::error_code& ec) {
  const std::lock_guard hold{lock_};
  size_class_pool& pool = classes_[size_class];
  if (pool.warm.size() + pool.cold.size() <= pool.reserved) {
    stack* const created = create(size_class, ec);
    if (created == nullptr) return false;
    pool.cold.push_back(created);
  }
  ++pool.reserved;
  return true;
}

void stack_pool::cancel_another(std::uint8_t size_class) noexcept {
  const std::lock_guard hold{lock_};
  --classes_[size_class].reserved;
}

// Not by the promise of the spare one, but that is in use last, so it is first.
stack& stack_pool::take_reserved(std::uint8_t size_class) noexcept {
  const std::lock_guard hold{lock_};
  size_class_pool& pool = classes_[size_class];
  --pool.reserved;
  if (has_spare(size_class)) return *std::exchange(spare_, nullptr);
  auto& from = pool.warm.empty() ? pool.cold : pool.warm;
  stack& taken = *from.back();
  from.pop_back();
  pool.untouched = std::min(pool.untouched, pool.warm.size());
  return taken;
}

void stack_pool::put_back(stack& returned) noexcept {
  const std::lock_guard hold{lock_};
  classes_[returned.size_class].warm.push_back(&returned);  // never grows: create() has made room
}

stack* stack_pool::create(std::uint8_t size_class, std::error_code& ec) {
  size_class_pool& pool = classes_[size_class];
  const std::size_t size = size_of_class(size_class);
  try {
    make_room(pool);
    stacks_.emplace_back();
  } catch (const std::bad_alloc&) {
    ec = std::make_error_code(std::errc::not_enough_memory);
    return nullptr;
  }
  if ((pool.fresh == pool.chunk_end && !map_chunk(pool, size)) || !guard(pool, size)) {
    stacks_.pop_back();
    ec = std::make_error_code(std::errc::not_enough_memory);
    return nullptr;
  }
  stack& result = stacks_.back();
  result.base = pool.fresh;
  result.size = size;
  result.size_class = size_class;
  result.colour = static_cast<std::uint16_t>((pool.created % colours) * cache_line);
  result.valgrind_number = register_stack(result.base, size);
  pool.fresh += size;
  ++pool.created;
  return &result;
}

void stack_pool::make_room(size_class_pool& pool) {
  if (pool.created >= pool.warm.capacity()) pool.warm.reserve(2 * pool.created + 16);
  pool.cold.reserve(pool.warm.capacity());
  if (chunks_.size() == chunks_.capacity()) chunks_.reserve(2 * chunks_.size() + 16);
}

bool stack_pool::map_chunk(size_class_pool& pool, std::size_t stack_size) noexcept {
  std::size_t size = std::max(chunk_size, stack_size);
  std::byte* base = map_stacks(size);
  // What is left of the address space may be less (ulimit -v). Both sizes are powers of two.
  while (base == nullptr && size > stack_size) base = map_stacks(size /= 2);
  if (base == nullptr) return false;
  chunks_.push_back({base, size});
  mapped_bytes_ += size;
  pool.chunk_begin = pool.fresh = base;
  pool.chunk_end = base + size;
  return true;
}

bool stack_pool::guard(const size_class_pool& pool, std::size_t stack_size) const noexcept {
  const auto index = static_cast<std::size_t>(pool.fresh - pool.chunk_begin) / stack_size;
  if (guard_ == stack_guard::groups && index % group_size != 0) return true;
  return install_guard(pool.fresh, light_guards_);
}

bool stack_pool::trim() noexcept {
  const std::lock_guard hold{lock_};
  if (spare_ != nullptr) {
    size_class_pool& home = classes_[spare_->size_class];
    if (std::exchange(spare_is_promised_, false)) ++home.reserved;
    home.warm.push_back(std::exchange(spare_, nullptr));
  }
  std::size_t budget = 256;
  for (size_class_pool& pool : classes_) budget -= trim(pool, budget);
  trimmable_ = std::ranges::any_of(classes_, [](const size_class_pool& pool) {
    return pool.warm.size() > keep_warm ||
           std::ranges::any_of(pool.warm, [](const stack* each) { return each->unchecked; });
  });
  return trimmable_;
}

std::size_t stack_pool::trim(size_class_pool& pool, std::size_t budget) noexcept {
  const std::size_t excess = pool.warm.size() > keep_warm ? pool.warm.size() - keep_warm : 0;
  const std::size_t cooled = std::min({pool.untouched, excess, budget});
  for (std::size_t i = 0; i < cooled; ++i) {
    stack& each = *pool.warm[i];
    give_back(each.base + page_size, each.base + each.size);
    each.unchecked = false;
    pool.cold.push_back(&each);
  }
  pool.warm.erase(pool.warm.begin(), pool.warm.begin() + static_cast<std::ptrdiff_t>(cooled));

  std::size_t done = cooled;
  for (stack* each : pool.warm) {
    if (done == budget) break;
    if (!each->unchecked) continue;
    ++done;
    each->unchecked = false;
    std::byte* const end = each->base + each->size - std::min(watermark, each->size - page_size);
    std::byte* const begin = lowest_resident(each->base + page_size, end);
    give_back(begin, end);
  }
  pool.untouched = pool.warm.size();
  return done;
}

}  // namespace weft::detail
