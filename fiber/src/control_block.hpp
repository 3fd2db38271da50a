// All that the scheduler knows of one fiber.
//
// Control blocks live in a slab, not on the stacks: waking and choosing fibers then touches no page
// of theirs. The first cache line is what every switch needs, the second what waits and wake-ups
// do.
// Threads: the worker that owns it, but for what is atomic, `joiners`, and what inboxes link.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <source_location>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <weft/fiber/detail/continuation.hpp>
#include <weft/fiber/detail/scope.hpp>
#include <weft/fiber/detail/task.hpp>
#include <weft/fiber/detail/wait.hpp>
#include <weft/fiber/detail/wait_note.hpp>
#include <weft/fiber/fiber.hpp>

#include "context/context.hpp"
#include "context/exception_globals.hpp"
#include "stack_pool.hpp"
#include "timer_wheel.hpp"

namespace weft::detail {

class scheduler;
class fiber_owner;
struct block_chunk;
struct task_extras;

enum class fiber_status : std::uint8_t {
  free,
  reserved,
  arriving,  // spawned by another thread, on its way through the inbox of its worker
  unstarted,
  started,  // it runs, or a context of its own is saved
  resting,  // a coroutine that has suspended: it holds no stack
  done,
};

// In place of the size class of a stack: a task whose coroutines run on whichever stack is there.
inline constexpr std::uint8_t stackless = 0xff;

// What fills the last cache line.
inline constexpr std::size_t inline_task_size = sizeof(machine_context) <= 32 ? 56 : 152;

// What a dump on another thread may read while its owner writes it: the value before or after.
// Unknown to the model checker, for nothing depends on it.
template <class T>
class shown {
public:
  shown() noexcept = default;

  // The two pair: with a pointer what it points to is seen.
  void operator=(T value) noexcept { value_.store(value, std::memory_order_release); }

  // NOLINTNEXTLINE(google-explicit-constructor): it stands for the value
  operator T() const noexcept { return value_.load(std::memory_order_acquire); }

private:
  std::atomic<T> value_{};
};

// The name of a fiber, null if it has none. (std::unique_ptr has no standard layout.)
struct fiber_name {
  shown<char*> text;

  fiber_name() noexcept = default;
  fiber_name(const fiber_name&) = delete;
  fiber_name& operator=(const fiber_name&) = delete;

  ~fiber_name() { reset(); }

  void reset() noexcept {
    const char* const former = text;
    text = nullptr;
    delete[] former;
  }
};

// Coroutines that a task runs by co::block_on(), on its own stack.
struct co_guest {
  const co_frame& outermost;
  const co_guest* outer;  // null for the first
  bool awaits = false;    // they have suspended: not in a call that blocks
};

struct alignas(64) control_block {
  union {
    machine_context context{};
    continuation* resume_point;  // while it is `resting`
  };

  // The exception globals while it does not run.
  void* caught_exceptions = nullptr;
  unsigned int uncaught_exceptions = 0;
  // Written by the worker, `done` with `join_lock` held: whoever reads that sees the outcome.
  atomic<fiber_status> status{fiber_status::free};
  std::uint8_t size_class = 0;
  std::uint8_t heap_task_alignment_log2 = 0;  // 0: the task is in task_space
  // No handle is left. Relaxed: it only decides who reports a failure, and `retrieved` that one
  // does.
  atomic<bool> detached{false};
  control_block* next_ready = nullptr;
  waiter wait;

  shown<wait_note> waits_for;        // or did last
  shown<std::uint32_t> waits_since;  // see coarse_milliseconds()
  // Set once, by any thread; the worker sees it at the latest when the check comes by its inbox.
  atomic<bool> cancel_requested{false};
  // Whether request_cancel() may end the wait under way.
  bool wait_is_cancellable = false;
  // Whether it is on its way through `next_check`. The exchange of who sets it pairs with that of
  // the worker, which clears it before it checks.
  atomic<bool> check_posted{false};
  spin_lock join_lock;  // guards `joiners`, `shares`, and that it is done
  // What every cancellation point of the fiber finds; kept up to date by judge(). Others only ask
  // for that, by ask_to_judge().
  atomic<verdict> judgement{verdict::none};
  // Who may look at what comes of the fiber: the handle, a group in which it has failed. Whoever
  // gives up the last share after the end destroys the task; of a fiber that ends without any, the
  // fiber does, where it may wait. Written with the lock held, but by who has the last one after
  // the end.
  atomic<std::uint8_t> shares{0};
  std::uint16_t refusals = 0;  // cancellation points that failed in a row
  // Who needs the block: all shares together, or the fiber that ends without any; a group that it
  // is in, until it is taken out; who joins it but was woken for another reason before it ended and
  // has still to withdraw; a check on its way. Whoever gives up the last one sees what the others
  // did: all are decrements that acquire and release.
  atomic<std::uint32_t> references{0};

  timer_node timer;
  stack* bound_stack = nullptr;  // null before the first run, and for main; left over after the end
  task_base* task = nullptr;
  wait_list joiners;
  control_block* next_check = nullptr;
  scope_state* innermost_scope = nullptr;
  fiber_owner* group = nullptr;
  control_block* group_next = nullptr;
  control_block* group_previous = nullptr;
  shown<fiber_id> id;
  shown<std::source_location> location;
  fiber_name name;

  shown<fiber_id> spawned_by;     // 0 for none
  task_extras* extras = nullptr;  // null in most fibers
  alignas(16) std::byte task_space[inline_task_size];
  const co_guest* guests = nullptr;  // the innermost; null in most tasks

  // The worker that it runs on; it stays.
  scheduler& owner() const noexcept;

  std::uint64_t number() const noexcept { return static_cast<std::uint64_t>(fiber_id{id}); }

  std::string display_name() const;

  // False when there is no memory for it.
  bool give_name(std::string_view given) noexcept;
  // Looks at its scopes and at cancel_requested. The worker only.
  void judge() noexcept;
  // The same if somebody has asked for it; returns what then holds. The worker only.
  verdict judged() noexcept;

  // By another thread that has cancelled the fiber or one of its scopes: from now on no
  // cancellation point of the fiber succeeds, as nobody may count on it for long.
  void ask_to_judge() noexcept {
    // Pairs with the exchange in judge(): that one sees what was cancelled, by all who have asked.
    judgement.exchange(verdict::asked, std::memory_order_release);
  }

  void save_exceptions(const exception_globals& of_thread) noexcept {
    caught_exceptions = of_thread.caught;
    uncaught_exceptions = of_thread.uncaught;
  }

  void restore_exceptions(exception_globals& of_thread) const noexcept {
    of_thread.caught = caught_exceptions;
    of_thread.uncaught = uncaught_exceptions;
  }

  // For what has none.
  void clear_exceptions() noexcept {
    caught_exceptions = nullptr;
    uncaught_exceptions = 0;
  }

  // It goes on in its own right. Once they are a thousand they stay, and have been reported.
  void forget_refusals() noexcept {
    if (refusals < 1'000) refusals = 0;
  }

  // What has come of announce_end(): it is done, and nobody has a share, so that the caller
  // releases it; or somebody has, and it may be gone; or it is not done, for the last share was
  // given up meanwhile, and the task has to go first.
  enum class end { unshared, shared, with_a_task };
  // Makes it `done` and wakes the joiners. Those whose wait has ended already, for another reason,
  // have a reference each from now on, until they withdraw.
  end announce_end() noexcept;
  // By a joiner whose wait has ended for another reason.
  void withdraw_joiner(wait_node& node) noexcept;

  bool has_status(fiber_status which) const noexcept {
    return status.load(std::memory_order_relaxed) == which;
  }

  bool is_coroutine() const noexcept { return size_class == stackless; }

  // The block whose timer, or whose waiter, this is.
  static control_block& of(timer_node& node) noexcept;
  static control_block& of(waiter& entry) noexcept;
};

// Calls `visit(frame)` for the coroutines that the task is in, the outermost first, and each before
// the one it awaits. The worker only.
template <class Visit>
void for_each_coroutine(const control_block& block, Visit&& visit) {
  const auto down_from = [&](const co_frame* each) {
    for (; each != nullptr; each = each->awaits) visit(*each);
  };
  if (block.task != nullptr) down_from(block.task->first_coroutine());
  const auto from_the_first = [&](const auto& self, const co_guest* guest) -> void {
    if (guest == nullptr) return;
    self(self, guest->outer);
    down_from(&guest->outermost);
  };
  from_the_first(from_the_first, block.guests);
}

// How the waiter of a fiber makes it ready: on its own worker, from whatever thread.
void resume_fiber(waiter& claimed) noexcept;

static_assert(std::is_standard_layout_v<control_block>);

inline control_block& control_block::of(timer_node& node) noexcept {
  return *reinterpret_cast<control_block*>(reinterpret_cast<std::byte*>(&node) -
                                           offsetof(control_block, timer));
}

inline control_block& control_block::of(waiter& entry) noexcept {
  return *reinterpret_cast<control_block*>(reinterpret_cast<std::byte*>(&entry) -
                                           offsetof(control_block, wait));
}

#ifdef WEFT_CONTEXT_NATIVE
static_assert(offsetof(control_block, wait) + sizeof(std::uint64_t) == 64);
static_assert(offsetof(control_block, timer) == 128);
static_assert(sizeof(control_block) == 320 && inline_task_size >= 56);
#endif
// An odd number of cache lines: the first lines of neighbours then fall into all sets of the cache.
static_assert(sizeof(control_block) / 64 % 2 == 1 && sizeof(control_block) % 64 == 0);

}  // namespace weft::detail
