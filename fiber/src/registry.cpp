#include "registry.hpp"

#include <cstddef>
#include <mutex>

#include "control_block.hpp"
#include "registry_layout.hpp"
#include "worker_group.hpp"

namespace weft::detail {

// Not all of standard layout, but of one: both compilers know where the members are.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winvalid-offsetof"

struct registry {
  static constexpr registry_layout layout() noexcept {
    registry_layout result;
#ifdef WEFT_CONTEXT_FCONTEXT
    result.context_kind = 1;
#endif
    result.scheduler_next = offsetof(scheduler, next_listed);
    result.scheduler_index = offsetof(scheduler, index_);
    result.scheduler_current = offsetof(scheduler, current_);
    result.scheduler_main = offsetof(scheduler, main_);
    result.scheduler_thread_stack = offsetof(scheduler, thread_stack_);
    result.scheduler_runs_on = offsetof(scheduler, runs_on_);
    result.scheduler_group = offsetof(scheduler, siblings_);
    result.scheduler_slab = offsetof(scheduler, blocks_);
    result.scheduler_coarse_now = offsetof(scheduler, coarse_now_);
    result.group_number = offsetof(worker_group, number_);
    result.slab_chunks = offsetof(block_slab, chunks_);
    result.chunk_constructed = offsetof(block_chunk, constructed);
    result.chunk_blocks = offsetof(block_chunk, space);
    result.block_size = sizeof(control_block);
    result.block_context = offsetof(control_block, context);
    result.block_wait = offsetof(control_block, wait);
    result.block_status = offsetof(control_block, status);
    result.block_size_class = offsetof(control_block, size_class);
    result.block_stack = offsetof(control_block, bound_stack);
    result.block_id = offsetof(control_block, id);
    result.block_location = offsetof(control_block, location);
    result.block_name = offsetof(control_block, name);
    result.block_waits_for = offsetof(control_block, waits_for);
    result.block_waits_since = offsetof(control_block, waits_since);
    result.block_spawned_by = offsetof(control_block, spawned_by);
    result.stack_base = offsetof(stack, base);
    result.stack_size = offsetof(stack, size);
    result.frame_awaited_by = offsetof(co_frame, awaited_by);
    result.frame_at = offsetof(co_frame, at);
    result.continuation_frame = offsetof(continuation, frame);
    return result;
  }
};

#pragma GCC diagnostic pop

extern "C" {
// `used`, for nobody in the process reads the offsets.
[[gnu::used, gnu::visibility("default")]] constinit registry_layout weft_registry =
    registry::layout();
}

namespace {

spin_lock list_lock;  // guards the list

}  // namespace

void list_scheduler(scheduler& entry) noexcept {
  const std::lock_guard hold{list_lock};
  entry.next_listed = first_listed_scheduler();
  weft_registry.first = &entry;
}

void unlist_scheduler(scheduler& entry) noexcept {
  const std::lock_guard hold{list_lock};
  if (first_listed_scheduler() == &entry) {
    weft_registry.first = entry.next_listed;
    return;
  }
  scheduler* before = first_listed_scheduler();
  while (before->next_listed != &entry) before = before->next_listed;
  before->next_listed = entry.next_listed;
}

scheduler* first_listed_scheduler() noexcept {
  return static_cast<scheduler*>(weft_registry.first);
}

void set_first_listed_scheduler(scheduler* first) noexcept { weft_registry.first = first; }

spin_lock& scheduler_list_lock() noexcept { return list_lock; }

}  // namespace weft::detail
