// Where control blocks come from: chunks of them, each large enough to be mapped and unmapped
// alone.
//
// Lives as long as one block of it is in use, for a handle may outlive its runtime.
// Threads: any; the slab has a lock. The worker that owns it keeps blocks that it has freed itself,
// all of one chunk, and takes them again without the lock.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <new>
#include <vector>

#include <weft/fiber/detail/atomic.hpp>
#include <weft/fiber/detail/spin_lock.hpp>
#include <weft/fiber/detail/worker_view.hpp>

#include "control_block.hpp"

namespace weft::detail {

struct block_chunk;
struct registry;

class block_slab {
public:
  // By new, because it ends by abandon(). Without an owner no block is kept.
  static block_slab* create(const worker_view* owner = nullptr) { return new block_slab{owner}; }

  block_slab(const block_slab&) = delete;
  block_slab& operator=(const block_slab&) = delete;

  // A block with status `reserved`, or null when there is no memory. The one freed last comes
  // first.
  control_block* allocate() noexcept;
  // Takes back a block that no handle stands for and whose task is gone.
  static void free(control_block& block) noexcept;

  // The owner gives the slab up: it goes with its last block.
  void abandon() noexcept;

  // For one thread alone.
  std::size_t in_use() const noexcept { return taken_ - kept_count_; }

  std::size_t chunks() const noexcept { return chunks_.size(); }

  // Calls visit(block) for every block in use; it must not allocate or free one.
  template <class Visit>
  void for_each(Visit&& visit);
  // The same, unless the slab is in use at this moment: then false.
  template <class Visit>
  bool try_for_each(Visit&& visit);

  // Guards all of it, but for what the owner has kept. For a fork, which must not come between.
  spin_lock& lock() noexcept { return lock_; }

private:
  friend struct registry;  // tells a debugger where the members are

  template <class Visit>
  void visit_all(Visit&& visit);

  explicit block_slab(const worker_view* owner) noexcept : owner_(owner) {}

  ~block_slab();
  bool is_owners_thread() const noexcept;
  control_block* take_kept() noexcept;
  bool keep(control_block& block) noexcept;
  block_chunk* grow() noexcept;
  void take_back(control_block& block) noexcept;
  bool put_back(control_block& block) noexcept;
  void drop(block_chunk& empty) noexcept;

  spin_lock lock_;
  std::vector<block_chunk*> chunks_;
  std::vector<block_chunk*> with_room_;  // used last at the back
  std::size_t taken_ = 0;                // not free in their chunks
  bool abandoned_ = false;

  // Null for none, and once abandoned. Relaxed: only the owner finds itself here.
  atomic<const worker_view*> owner_;
  // The owner's.
  control_block* kept_ = nullptr;     // linked by next_ready; all of `kept_home_`
  block_chunk* kept_home_ = nullptr;  // where the owner's last block has come from, if not kept
  std::size_t kept_count_ = 0;
};

struct block_chunk {
  static constexpr std::size_t capacity = 512;  // 160 KiB

  explicit block_chunk(block_slab& owner) noexcept : slab(owner) {}

  // Mapped: malloc keeps what has been freed between other things. Null when there is no memory.
  static void* operator new(std::size_t size, const std::nothrow_t& /*tag*/) noexcept;
  static void operator delete(void* place, std::size_t size) noexcept;

  static block_chunk& of(const control_block& block) noexcept;

  control_block& at(std::size_t index) noexcept {
    return *std::launder(reinterpret_cast<control_block*>(space + index * sizeof(control_block)));
  }

  block_slab& slab;
  control_block* free = nullptr;  // linked by next_ready
  std::size_t used = 0;
  std::size_t constructed = 0;  // the first so many; the rest has not been touched
  alignas(control_block) std::byte space[capacity * sizeof(control_block)];
};

// A chunk begins at a multiple of this, so that each block finds its own.
inline constexpr std::size_t chunk_alignment = std::bit_ceil(sizeof(block_chunk));

inline block_chunk& block_chunk::of(const control_block& block) noexcept {
  auto* const place = reinterpret_cast<std::byte*>(const_cast<control_block*>(&block));
  return *reinterpret_cast<block_chunk*>(place -
                                         reinterpret_cast<std::uintptr_t>(place) % chunk_alignment);
}

template <class Visit>
void block_slab::for_each(Visit&& visit) {
  const std::lock_guard hold{lock_};
  visit_all(visit);
}

template <class Visit>
bool block_slab::try_for_each(Visit&& visit) {
  if (!lock_.try_lock()) return false;
  visit_all(visit);
  lock_.unlock();
  return true;
}

// With the lock held.
template <class Visit>
void block_slab::visit_all(Visit&& visit) {
  for (block_chunk* const chunk : chunks_) {
    for (std::size_t i = 0; i < chunk->constructed; ++i) {
      if (chunk->at(i).status.load(std::memory_order_relaxed) != fiber_status::free) {
        visit(chunk->at(i));
      }
    }
  }
}

}  // namespace weft::detail
