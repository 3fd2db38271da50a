#include "block_slab.hpp"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>
#include <sys/mman.h>
#include <utility>

#include "context/sanitizer.hpp"
#include "stack_memory.hpp"
#include "task_extras.hpp"

namespace weft::detail {
namespace {

constexpr std::size_t at_link = offsetof(control_block, next_ready);
constexpr std::size_t at_status = offsetof(control_block, status);
static_assert(at_status < at_link && sizeof(fiber_status) == 1);

// Has AddressSanitizer report who touches a block that is free, but for what the slab itself looks
// at and what lies in the same 8 bytes; and the model checker, to the byte: the lock under which
// the fiber has ended lies beside the status.
void hide([[maybe_unused]] control_block& block) noexcept {
  [[maybe_unused]] auto* const bytes = reinterpret_cast<std::byte*>(&block);
#ifdef WEFT_MODEL_CHECK
  model::forbid(bytes, at_status);
  model::forbid(bytes + at_status + 1, sizeof block - at_status - 1);
#endif
#ifdef WEFT_ASAN
  const auto hide_between = [bytes](std::size_t begin, std::size_t end) {
    ASAN_POISON_MEMORY_REGION(bytes + begin, end - begin);
  };
  constexpr std::size_t link = at_link / 8 * 8;
  constexpr std::size_t status = at_status / 8 * 8;
  hide_between(0, status);
  hide_between(status + 8, link);
  hide_between(link + 8, sizeof block);
#endif
}

void show([[maybe_unused]] const void* place, [[maybe_unused]] std::size_t size) noexcept {
#ifdef WEFT_MODEL_CHECK
  model::permit(place, size);
#endif
#ifdef WEFT_ASAN
  ASAN_UNPOISON_MEMORY_REGION(place, size);
#endif
}

#ifndef WEFT_ASAN

// Null when there is no memory.
void* map_aligned(std::size_t size) noexcept {
  const std::size_t mapped = (size + page_size - 1) / page_size * page_size + chunk_alignment;
  void* const first =
      ::mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (first == MAP_FAILED) return nullptr;
  auto* const begin = static_cast<std::byte*>(first);
  const auto address = reinterpret_cast<std::uintptr_t>(begin);
  const std::size_t before = (chunk_alignment - address % chunk_alignment) % chunk_alignment;
  const std::size_t behind = chunk_alignment - before;
  if (before != 0) ::munmap(begin, before);
  if (behind != 0) ::munmap(begin + mapped - behind, behind);
  return begin + before;
}

#endif

// Ends what has been made in a chunk that goes.
void destroy_blocks(block_chunk& chunk) noexcept {
  show(&chunk, sizeof chunk);
  for (std::size_t i = 0; i < chunk.constructed; ++i) std::destroy_at(&chunk.at(i));
}

}  // namespace

void* block_chunk::operator new(std::size_t size, const std::nothrow_t& /*tag*/) noexcept {
#ifdef WEFT_ASAN
  // The leak checker looks for pointers on the heap, not in what was mapped.
  return ::operator new(size, std::align_val_t{chunk_alignment}, std::nothrow);
#else
  return map_aligned(size);
#endif
}

void block_chunk::operator delete(void* place, std::size_t size) noexcept {
#ifdef WEFT_ASAN
  ::operator delete(place, size, std::align_val_t{chunk_alignment});
#else
  ::munmap(place, size);
#endif
}

block_slab::~block_slab() {
  for (block_chunk* const chunk : chunks_) {
    destroy_blocks(*chunk);
    delete chunk;
  }
}

bool block_slab::is_owners_thread() const noexcept {
  const worker_view* const owner = owner_.load(std::memory_order_relaxed);
  return owner != nullptr && owner == running_worker;
}

// By the owner; null if it has kept none.
control_block* block_slab::take_kept() noexcept {
  if (kept_ == nullptr) return nullptr;
  control_block& block = *kept_;
  kept_ = std::exchange(block.next_ready, nullptr);
  --kept_count_;
  show(&block, sizeof block);
  block.status.store(fiber_status::reserved, std::memory_order_relaxed);
  return &block;
}

// Only blocks of one chunk, lest those of many be kept from being given back.
bool block_slab::keep(control_block& block) noexcept {
  if (!is_owners_thread() || &block_chunk::of(block) != kept_home_ || block.name.text != nullptr)
    return false;
  block.next_ready = std::exchange(kept_, &block);
  ++kept_count_;
#ifdef WEFT_ASAN
  const std::lock_guard hold{lock_};  // who visits the blocks may be looking at it
#endif
  hide(block);
  return true;
}

control_block* block_slab::allocate() noexcept {
  const bool is_owners = is_owners_thread();
  if (is_owners) {
    if (control_block* const kept = take_kept()) return kept;
  }
  const std::lock_guard hold{lock_};
  block_chunk* const chunk = with_room_.empty() ? grow() : with_room_.back();
  if (chunk == nullptr) return nullptr;
  control_block* block = chunk->free;
  if (block != nullptr) {
    chunk->free = std::exchange(block->next_ready, nullptr);
    show(block, sizeof *block);
  } else {
    block = ::new (chunk->space + chunk->constructed * sizeof(control_block)) control_block;
    block->wait.resume = &resume_fiber;
    ++chunk->constructed;
  }
  if (++chunk->used == block_chunk::capacity) with_room_.pop_back();
  block->status.store(fiber_status::reserved, std::memory_order_relaxed);
  ++taken_;
  if (is_owners) kept_home_ = chunk;
  return block;
}

void block_slab::free(control_block& block) noexcept {
  block_chunk::of(block).slab.take_back(block);
}

void block_slab::take_back(control_block& block) noexcept {
  block.clear_exceptions();
  block.status.store(fiber_status::free, std::memory_order_relaxed);
  block.cancel_requested.store(false, std::memory_order_relaxed);
  block.judgement.store(verdict::none, std::memory_order_relaxed);
  block.detached.store(false, std::memory_order_relaxed);
  block.refusals = 0;
  block.bound_stack = nullptr;
  block.task = nullptr;
  block.group = nullptr;
  if (block.extras != nullptr) end_extras(block.extras);  // it has never run
  if (keep(block)) return;
  bool was_last = false;
  {
    const std::lock_guard hold{lock_};
    block.name.reset();  // others that hold the lock may read it
    was_last = put_back(block);
  }
  if (was_last) delete this;
}

// Returns whether the slab goes with it.
bool block_slab::put_back(control_block& block) noexcept {
  show(&block, sizeof block);  // if it was kept
  block_chunk& chunk = block_chunk::of(block);
  block.next_ready = std::exchange(chunk.free, &block);
  hide(block);
  --taken_;
  if (chunk.used-- == block_chunk::capacity) {
    with_room_.push_back(&chunk);  // never grows: grow() has made room
  } else if (chunk.used == 0 && with_room_.size() > 1) {
    drop(chunk);
  }
  return abandoned_ && taken_ == 0;
}

void block_slab::abandon() noexcept {
  bool was_last = false;
  {
    const std::lock_guard hold{lock_};
    owner_.store(nullptr, std::memory_order_relaxed);
    while (kept_ != nullptr) {
      control_block& block = *kept_;
      kept_ = std::exchange(block.next_ready, nullptr);
      --kept_count_;
      put_back(block);
    }
    abandoned_ = true;
    was_last = taken_ == 0;
  }
  if (was_last) delete this;
}

block_chunk* block_slab::grow() noexcept {
  try {
    if (chunks_.size() == chunks_.capacity()) chunks_.reserve(2 * chunks_.size() + 8);
    with_room_.reserve(chunks_.capacity());
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
  auto* const chunk = new (std::nothrow) block_chunk{*this};
  if (chunk == nullptr) return nullptr;
  chunks_.push_back(chunk);
  with_room_.push_back(chunk);
  return chunk;
}

// Searches lists that are as long as the chunks are many: once for 512 fibers that have ended.
void block_slab::drop(block_chunk& empty) noexcept {
  std::erase(with_room_, &empty);
  std::erase(chunks_, &empty);
  destroy_blocks(empty);
  delete &empty;
}

}  // namespace weft::detail
