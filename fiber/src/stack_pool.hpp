// The stacks of one worker's fibers: mapped in chunks, guarded, coloured, cached, given back.
//
// A stack is reserved when a fiber is spawned, so that running out surfaces in the spawner, and
// taken when the fiber first runs, so that the stack that was in use last, whose pages are still in
// the cache, is the next to be used.
// Threads: reserve() and cancel_reservation() any, the rest the worker only; the pool has a lock.
// The worker keeps the stack that was released last, and reserves and takes that without the lock.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include <weft/fiber/detail/biased_lock.hpp>
#include <weft/fiber/detail/worker_view.hpp>
#include <weft/fiber/runtime.hpp>

#include "context/sanitizer.hpp"

namespace weft::detail {

struct stack_bounds {
  const std::byte* begin = nullptr;  // lowest address
  std::size_t size = 0;
};

struct stack {
  std::byte* base = nullptr;  // lowest address; the guard page, if it has one
  std::size_t size = 0;       // guard page included
  std::uint16_t colour = 0;   // bytes left free at the top
  std::uint8_t size_class = 0;
  bool unchecked = false;  // used since trim() last looked how deep
  unsigned valgrind_number = 0;
  sanitizer_context sanitizer;

  std::byte* top() const noexcept { return base + size - colour; }
};

class stack_pool {
public:
  static constexpr std::size_t smallest = std::size_t{16} * 1024;
  static constexpr std::size_t largest = std::size_t{1024} * 1024 * 1024;
  // Free stacks that keep their memory while they are not in use; see trim().
  static constexpr std::size_t keep_warm = 64;
  // Memory below this depth is given back once a stack is free.
  static constexpr std::size_t watermark = std::size_t{32} * 1024;
  // Stacks with one guard between them, where each cannot have its own.
  static constexpr std::size_t group_size = 16;

  // Of the worker that is given its lock takes least. Throws std::bad_alloc.
  explicit stack_pool(stack_guard guard);
  stack_pool(stack_guard guard, const worker_view& owner);
  stack_pool(const stack_pool&) = delete;
  stack_pool& operator=(const stack_pool&) = delete;
  ~stack_pool();

  // The size class for `size` bytes, doubled under sanitizers, whose frames are larger; nothing for
  // more than `largest`.
  static std::optional<std::uint8_t> class_of(std::size_t size) noexcept;

  // Makes sure that one more take() of this class will find a stack.
  bool reserve(std::uint8_t size_class, std::error_code& ec);
  void cancel_reservation(std::uint8_t size_class) noexcept;
  // Turns a reservation into a stack.
  stack& take(std::uint8_t size_class) noexcept;
  // Takes back a stack that nothing runs on after the caller's next switch.
  void release(stack& returned) noexcept;

  // Gives back memory that was not needed since the last call: of free stacks beyond `keep_warm`,
  // and what lies below the watermark in the others. At most 256 stacks a call. Returns whether
  // there is, or may come to be, more to do.
  bool trim() noexcept;

  // Guards all of it. For a fork, which must not come between.
  biased_lock& lock() noexcept { return lock_; }

  bool wants_trim() const noexcept { return trimmable_; }

  std::size_t in_use() const noexcept { return in_use_; }

  std::size_t mapped_bytes() const noexcept { return mapped_bytes_; }

  // Reservations that are neither taken nor cancelled. For one thread alone.
  std::size_t reserved(std::uint8_t size_class) const noexcept;

private:
  static constexpr std::size_t chunk_size =
      std::size_t{16} * 1024 * 1024;  // less, if not to be had

  struct size_class_pool {
    std::vector<stack*> warm;   // free, used last at the back
    std::vector<stack*> cold;   // free, their memory given back
    std::size_t reserved = 0;   // promised by reserve(), at most warm + cold
    std::size_t untouched = 0;  // the first so many of `warm` were not used since the last trim()
    std::byte* chunk_begin = nullptr;  // the last chunk, of which
    std::byte* fresh = nullptr;        // the rest from here has never been handed out
    std::byte* chunk_end = nullptr;
    std::size_t created = 0;
  };

  struct chunk {
    std::byte* base;
    std::size_t size;
  };

  stack* create(std::uint8_t size_class, std::error_code& ec);
  void make_room(size_class_pool& pool);
  bool map_chunk(size_class_pool& pool, std::size_t stack_size) noexcept;
  bool guard(const size_class_pool& pool, std::size_t stack_size) const noexcept;

  bool is_owners_thread() const noexcept { return owner_ != nullptr && owner_ == running_worker; }

  bool has_spare(std::uint8_t size_class) const noexcept {
    return spare_ != nullptr && spare_->size_class == size_class;
  }

  bool reserve_another(std::uint8_t size_class, std::error_code& ec);
  void cancel_another(std::uint8_t size_class) noexcept;
  stack& take_reserved(std::uint8_t size_class) noexcept;
  void put_back(stack& returned) noexcept;
  std::size_t trim(size_class_pool& pool, std::size_t budget) noexcept;

  const worker_view* const owner_ = nullptr;

  // The worker's, without the lock. Who has reserved what makes no difference: all reservations of
  // a class are those that the lock guards and, if so promised, the spare stack.
  stack* spare_ = nullptr;
  bool spare_is_promised_ = false;
  bool trimmable_ = false;
  std::size_t in_use_ = 0;

  biased_lock lock_;  // for everything below
  const stack_guard guard_;
  const bool light_guards_;
  std::array<size_class_pool, 17> classes_;  // 16 KiB, 32 KiB, ... 1 GiB
  std::deque<stack> stacks_;
  std::vector<chunk> chunks_;
  std::size_t mapped_bytes_ = 0;
};

inline bool stack_pool::reserve(std::uint8_t size_class, std::error_code& ec) {
  if (is_owners_thread() && has_spare(size_class) && !spare_is_promised_) {
    spare_is_promised_ = true;
    return true;
  }
  return reserve_another(size_class, ec);
}

inline void stack_pool::cancel_reservation(std::uint8_t size_class) noexcept {
  // A promise is the worker's: what others have reserved is still there.
  if (is_owners_thread() && has_spare(size_class) && std::exchange(spare_is_promised_, false)) {
    return;
  }
  cancel_another(size_class);
}

inline stack& stack_pool::take(std::uint8_t size_class) noexcept {
  ++in_use_;
  if (has_spare(size_class) && std::exchange(spare_is_promised_, false)) {
    return *std::exchange(spare_, nullptr);
  }
  return take_reserved(size_class);
}

inline void stack_pool::release(stack& returned) noexcept {
  returned.unchecked = true;
  --in_use_;
  trimmable_ = true;
  if (owner_ != nullptr && spare_ == nullptr) {
    spare_ = &returned;
  } else if (has_spare(returned.size_class)) {
    put_back(*std::exchange(spare_, &returned));  // a promise holds for the other as well
  } else {
    put_back(returned);
  }
}

}  // namespace weft::detail
