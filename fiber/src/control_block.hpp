// All that the scheduler knows of one fiber.
//
// Control blocks live in a slab, not on the stacks: waking and choosing fibers then touches no page
// of theirs. The first cache line is what every switch and wake-up needs.
// Threads: the worker only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <source_location>
#include <string>
#include <type_traits>

#include <weft/fiber/detail/task.hpp>
#include <weft/fiber/detail/wait.hpp>
#include <weft/fiber/fiber.hpp>

#include "context/context.hpp"
#include "context/exception_globals.hpp"
#include "stack_pool.hpp"
#include "timer_wheel.hpp"

namespace weft::detail {

class scheduler;
class fiber_group;
struct block_chunk;

enum class fiber_status : std::uint8_t { free, reserved, unstarted, started, done };

// What fills the last cache line.
inline constexpr std::size_t inline_task_size = sizeof(machine_context) <= 32 ? 80 : 176;

struct alignas(64) control_block {
  machine_context context;
  exception_globals exceptions;
  control_block* next_ready = nullptr;
  waiter wait;

  timer_node timer;
  stack* bound_stack = nullptr;  // null before the first run and after the end, and for main
  fiber_status status = fiber_status::free;
  std::uint8_t size_class = 0;
  bool cancel_requested = false;
  // Whether request_cancel() may end the wait under way.
  bool wait_is_cancellable = false;
  std::uint16_t refusals = 0;    // cancellation points that failed in a row
  std::uint16_t references = 0;  // the handle, and the fiber itself until it has ended

  scheduler* owner = nullptr;
  task_base* task = nullptr;
  std::uint32_t heap_task_alignment = 0;  // 0: the task is in task_space
  bool detached = false;
  wait_queue joiners;
  fiber_group* group = nullptr;
  control_block* group_next = nullptr;
  control_block* group_previous = nullptr;
  fiber_id id{};
  std::source_location location;
  std::string name;

  block_chunk* home = nullptr;
  alignas(16) std::byte task_space[inline_task_size];

  std::string display_name() const;

  // The block whose timer this is.
  static control_block& of(timer_node& node) noexcept;
};

static_assert(std::is_standard_layout_v<control_block>);

inline control_block& control_block::of(timer_node& node) noexcept {
  return *reinterpret_cast<control_block*>(reinterpret_cast<std::byte*>(&node) -
                                           offsetof(control_block, timer));
}

#ifdef WEFT_CONTEXT_NATIVE
static_assert(offsetof(control_block, wait) + sizeof(std::uint64_t) == 64);
#endif
// An odd number of cache lines: the first lines of neighbours then fall into all sets of the cache.
static_assert(sizeof(control_block) / 64 % 2 == 1 && sizeof(control_block) % 64 == 0);

}  // namespace weft::detail
