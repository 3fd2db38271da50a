#include "registry.hpp"

#include <cstddef>
#include <cstdint>
#include <mutex>

#include "control_block.hpp"
#include "worker_group.hpp"

namespace weft::detail {

// Not all of standard layout, but of one: both compilers know where the members are.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winvalid-offsetof"

// What a debugger reads by the symbol `weft_registry`, without debug information and in a core,
// too. Its script has the members in the same order, and takes no other version.
struct registry {
  using offset = std::uint32_t;

  char magic[8] = {'w', 'e', 'f', 't', '_', 'r', 'e', 'g'};
  std::uint32_t version = 1;
#ifdef WEFT_CONTEXT_NATIVE
  std::uint32_t context_kind = 0;
#else
  std::uint32_t context_kind = 1;  // fcontext
#endif
  scheduler* first = nullptr;

  offset scheduler_next = offsetof(scheduler, next_listed);
  offset scheduler_index = offsetof(scheduler, index_);
  offset scheduler_current = offsetof(scheduler, current_);
  offset scheduler_main = offsetof(scheduler, main_);
  offset scheduler_thread_stack = offsetof(scheduler, thread_stack_);
  offset scheduler_runs_on = offsetof(scheduler, runs_on_);
  offset scheduler_group = offsetof(scheduler, siblings_);
  offset scheduler_slab = offsetof(scheduler, blocks_);
  offset scheduler_coarse_now = offsetof(scheduler, coarse_now_);
  offset group_number = offsetof(worker_group, number_);
  offset slab_chunks = offsetof(block_slab, chunks_);  // std::vector: begin and end
  offset chunk_constructed = offsetof(block_chunk, constructed);
  offset chunk_blocks = offsetof(block_chunk, space);
  offset block_size = sizeof(control_block);
  offset block_context = offsetof(control_block, context);
  offset block_wait = offsetof(control_block, wait);
  offset block_status = offsetof(control_block, status);
  offset block_size_class = offsetof(control_block, size_class);
  offset block_stack = offsetof(control_block, bound_stack);
  offset block_id = offsetof(control_block, id);
  offset block_location = offsetof(control_block, location);
  offset block_name = offsetof(control_block, name);
  offset block_waits_for = offsetof(control_block, waits_for);
  offset block_waits_since = offsetof(control_block, saved) + offsetof(saved_state, waits_since);
  offset block_spawned_by = offsetof(control_block, spawned_by);
  offset stack_base = offsetof(stack, base);
  offset stack_size = offsetof(stack, size);
  offset frame_awaited_by = offsetof(co_frame, awaited_by);
  offset frame_at = offsetof(co_frame, at);
  offset continuation_frame = offsetof(continuation, frame);
};

#pragma GCC diagnostic pop

extern "C" {
// `used`, for nobody in the process reads the offsets.
[[gnu::used, gnu::visibility("default")]] constinit registry weft_registry;
}

namespace {

spin_lock list_lock;  // guards the list

}  // namespace

void list_scheduler(scheduler& entry) noexcept {
  const std::lock_guard hold{list_lock};
  entry.next_listed = weft_registry.first;
  weft_registry.first = &entry;
}

void unlist_scheduler(scheduler& entry) noexcept {
  const std::lock_guard hold{list_lock};
  scheduler** place = &weft_registry.first;
  while (*place != &entry) place = &(*place)->next_listed;
  *place = entry.next_listed;
}

scheduler* first_listed_scheduler() noexcept { return weft_registry.first; }

spin_lock& scheduler_list_lock() noexcept { return list_lock; }

}  // namespace weft::detail
