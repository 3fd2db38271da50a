// What the library tells debuggers of its members, in the symbol `weft_registry`: tools/gdb/weft.py
// and weft-ps read it, in a process or a core, without debug information. They have the members in
// the same order, and take no other version.
#pragma once

#include <array>
#include <cstdint>

namespace weft::detail {

struct registry_layout {
  using offset = std::uint32_t;

  static constexpr std::array<char, 8> expected_magic{'w', 'e', 'f', 't', '_', 'r', 'e', 'g'};
  static constexpr std::uint32_t expected_version = 1;

  std::array<char, 8> magic = expected_magic;
  std::uint32_t version = expected_version;
  std::uint32_t context_kind = 0;  // 0: native, 1: fcontext
  void* first = nullptr;           // of all schedulers

  offset scheduler_next = 0;
  offset scheduler_index = 0;
  offset scheduler_current = 0;
  offset scheduler_main = 0;
  offset scheduler_thread_stack = 0;
  offset scheduler_runs_on = 0;
  offset scheduler_group = 0;
  offset scheduler_slab = 0;
  offset scheduler_coarse_now = 0;
  offset group_number = 0;
  offset slab_chunks = 0;  // a std::vector: begin and end
  offset chunk_constructed = 0;
  offset chunk_blocks = 0;
  offset block_size = 0;
  offset block_context = 0;
  offset block_wait = 0;
  offset block_status = 0;
  offset block_size_class = 0;
  offset block_stack = 0;
  offset block_id = 0;
  offset block_location = 0;
  offset block_name = 0;
  offset block_waits_for = 0;
  offset block_waits_since = 0;
  offset block_spawned_by = 0;
  offset stack_base = 0;
  offset stack_size = 0;
  offset frame_awaited_by = 0;
  offset frame_at = 0;
  offset continuation_frame = 0;
};

}  // namespace weft::detail
