#include "stack_watch.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <new>
#include <source_location>
#include <vector>

#include <weft/fiber/diagnostics.hpp>
#include <weft/fiber/dump.hpp>

#include "context/valgrind.hpp"
#include "process_mutex.hpp"
#include "stack_memory.hpp"

// What lies below the stack pointer the sanitizers hold for dead frames.
#define WEFT_READS_DEAD_FRAMES                                                                     \
  __attribute__((noinline, no_sanitize("address"), no_sanitize("thread"), no_sanitize("undefined")))

namespace weft::detail {
namespace {

// Words of it are neither addresses nor usual numbers, and no two bytes are alike.
using paint_word [[gnu::may_alias]] = std::uint64_t;
constexpr paint_word paint = 0x9e3779b97f4a7c15;

// Below the frame of who paints its own stack: its frame may reach that far, with the red zone.
constexpr std::size_t untouched_below_painter = 512;

WEFT_READS_DEAD_FRAMES void fill(std::byte* begin, const std::byte* end) noexcept {
  for (; begin < end; begin += sizeof(paint_word)) *reinterpret_cast<paint_word*>(begin) = paint;
}

// The first word of [begin, end) that is not `value`; `end` if there is none.
WEFT_READS_DEAD_FRAMES const std::byte* skip(const std::byte* begin, const std::byte* end,
                                             paint_word value) noexcept {
  while (begin < end && *reinterpret_cast<const paint_word*>(begin) == value) {
    begin += sizeof(paint_word);
  }
  return begin;
}

// The lowest byte of a page that has been used; its end if none has.
const std::byte* lowest_used_in(const std::byte* page) noexcept {
  const std::byte* const end = page + page_size;
  const std::byte* const unpainted = skip(page, end, paint);
  if (unpainted != page) return unpainted;
  // It was not in memory before, and so began as zeros. What has used it may have written some too.
  const std::byte* const written = skip(page, end, 0);
  return written != end ? written : page;
}

// The lowest byte of the stack that has been used; its end if none has.
const std::byte* lowest_used(const stack& watched) noexcept {
  const std::byte* const end = watched.base + watched.size;
  const std::byte* found = end;
  for_each_resident_page(watched.base + page_size, watched.base + watched.size,
                         [&](std::byte* page) {
                           const std::byte* const lowest = lowest_used_in(page);
                           if (lowest != page + page_size) found = lowest;
                           return found == end;
                         });
  return found;
}

// In whole pages, for those that were not in memory before begin as zeros.
std::byte* lowest_page_used(const stack& watched) noexcept {
  const auto offset = static_cast<std::size_t>(lowest_used(watched) - watched.base);
  return watched.base + offset / page_size * page_size;
}

// ---- warnings ----------------------------------------------------------------------------------

// More than this part of a stack is near its end.
constexpr std::size_t deep_percent = 80;

bool is_same(const std::source_location& one, const std::source_location& other) noexcept {
  return one.line() == other.line() && one.column() == other.column() &&
         std::strcmp(one.file_name(), other.file_name()) == 0;
}

constinit process_mutex warning_lock;  // guards `warned_of`
[[maybe_unused]] const bool forks_heed_warning_lock = warning_lock.list();
constinit std::vector<std::source_location> warned_of;

// Whether nothing has been said of fibers that are spawned there. Without memory to note it, it is
// said again.
bool is_first_of(const std::source_location& place) noexcept {
  const std::lock_guard hold{warning_lock};
  const auto is_place = [&](const std::source_location& each) { return is_same(each, place); };
  if (std::ranges::any_of(warned_of, is_place)) return false;
  try {
    warned_of.push_back(place);
  } catch (const std::bad_alloc&) {
    return true;
  }
  return true;
}

}  // namespace

bool stacks_are_to_be_watched() noexcept {
#if defined(WEFT_MODEL_CHECK)
  return false;  // it is not what the models are about
#elif !defined(NDEBUG)
  return !runs_on_valgrind();  // which holds what lies below the stack pointer for gone
#else
  return debugging_wants("stacks") && !runs_on_valgrind();
#endif
}

void repaint(stack& unused) noexcept { fill(lowest_page_used(unused), unused.top()); }

// A frame of its own, or that of the caller might reach farther.
[[gnu::noinline]] void repaint_below(stack& mine) noexcept {
  const auto* const frame = static_cast<const std::byte*>(__builtin_frame_address(0));
  std::byte* const lowest = lowest_page_used(mine);
  fill(lowest, frame - untouched_below_painter);
}

std::size_t high_water(const stack& watched) noexcept {
  return static_cast<std::size_t>(watched.base + watched.size - lowest_used(watched));
}

void warn_if_deep(const control_block& ending) noexcept {
  const stack& used = *ending.bound_stack;
  const std::size_t usable = used.size - page_size;
  const std::size_t bytes = high_water(used);
  if (bytes * 100 <= usable * deep_percent) return;
  const std::source_location place = ending.location;
  if (!is_first_of(place)) return;
  const char* const name = ending.name.text;
  std::array<char, 512> line;
  const int size =
      std::snprintf(line.data(), line.size(),
                    "fiber \"%.100s\" (fiber %llu) has used %zu KiB of its stack of %zu KiB; raise "
                    "spawn_options::stack_size of those that are spawned at %.200s:%u",
                    name != nullptr ? name : "", static_cast<unsigned long long>(ending.number()),
                    (bytes + 1023) / 1024, used.size / 1024, place.file_name(),
                    static_cast<unsigned>(place.line()));
  if (size > 0) diagnose({line.data(), std::min(static_cast<std::size_t>(size), line.size() - 1)});
}

}  // namespace weft::detail
