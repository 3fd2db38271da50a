#include "block_slab.hpp"

#include <new>
#include <utility>

namespace weft::detail {

control_block* block_slab::allocate() noexcept {
  if (free_ == nullptr && !grow()) return nullptr;
  control_block* const block = std::exchange(free_, free_->next_ready);
  block->next_ready = nullptr;
  block->status = fiber_status::reserved;
  block->home = this;
  ++in_use_;
  return block;
}

void block_slab::free(control_block& block) noexcept {
  block.exceptions = {};
  block.status = fiber_status::free;
  block.cancel_requested = false;
  block.detached = false;
  block.refusals = 0;
  block.owner = nullptr;
  block.task = nullptr;
  block.group = nullptr;
  block.name.clear();
  block.next_ready = std::exchange(free_, &block);
  --in_use_;
  if (abandoned_ && in_use_ == 0) delete this;
}

void block_slab::abandon() noexcept {
  abandoned_ = true;
  if (in_use_ == 0) delete this;
}

bool block_slab::grow() noexcept {
  try {
    chunks_.push_back(std::make_unique<control_block[]>(blocks_a_chunk));
  } catch (const std::bad_alloc&) {
    return false;
  }
  control_block* const chunk = chunks_.back().get();
  for (std::size_t i = blocks_a_chunk; i-- > 0;) {
    chunk[i].wait.owner = &chunk[i];
    chunk[i].next_ready = std::exchange(free_, &chunk[i]);
  }
  return true;
}

}  // namespace weft::detail
