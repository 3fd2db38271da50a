// What the sanitizers must be told when a thread changes stacks; empty without them.
//
// AddressSanitizer keeps a fake stack and the bounds of the real one, ThreadSanitizer a shadow
// state of its own, for every stack (sanitizer/common_interface_defs.h,
// sanitizer/tsan_interface.h).
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__SANITIZE_ADDRESS__)
#define WEFT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEFT_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define WEFT_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WEFT_TSAN 1
#endif
#endif

#ifdef WEFT_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef WEFT_TSAN
#include <csignal>
#include <poll.h>
#include <sanitizer/tsan_interface.h>
#endif

// ThreadSanitizer counts calls on a shadow stack of each fiber. A function that is entered on a
// fiber and never returns must not be counted, for the shadow state is used again with the stack,
// and none that is entered on one fiber and left on another.
#ifdef WEFT_TSAN
#define WEFT_NOT_COUNTED_BY_TSAN __attribute__((no_sanitize_thread))
#else
#define WEFT_NOT_COUNTED_BY_TSAN
#endif

namespace weft::detail {

// ThreadSanitizer keeps a signal that comes while a fiber runs, in its state of that fiber, until
// that makes a call which is intercepted; a fiber that has parked may do so late, or never. So
// signals wait in the kernel while a thread changes fibers, from a call that delivers what was kept
// before to one that delivers what has waited.
#ifdef WEFT_TSAN
inline constinit thread_local sigset_t signals_before_switch{};

inline void hold_signals() noexcept {
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &signals_before_switch);
}

inline void let_signals_in() noexcept {
  ::pthread_sigmask(SIG_SETMASK, &signals_before_switch, nullptr);
}

// Any call that is intercepted does so.
inline void deliver_kept_signals() noexcept { ::pthread_sigmask(SIG_BLOCK, nullptr, nullptr); }

// Where it keeps them it makes at the first call that may block, or at the first signal; one that
// comes while it is being made is lost (SigCtx() in GCC 12). So the first such call is ours, while
// signals are held.
inline void make_room_for_signals() noexcept { ::poll(nullptr, 0, 0); }
#endif

// Instrumented frames are larger: stacks are enlarged by this power of two.
#if defined(WEFT_ASAN)
inline constexpr std::uint8_t stack_enlargement_log2 = 2;
#elif defined(WEFT_TSAN)
inline constexpr std::uint8_t stack_enlargement_log2 = 1;
#else
inline constexpr std::uint8_t stack_enlargement_log2 = 0;
#endif

// One for each stack that fibers run on, the thread's own included.
struct sanitizer_context {
#ifdef WEFT_ASAN
  void* fake_stack = nullptr;
  const void* bottom = nullptr;
  std::size_t size = 0;
#endif
#ifdef WEFT_TSAN
  void* fiber = nullptr;
  bool has_room_for_signals = false;
#endif

  // For the stack of the calling thread.
  void adopt_thread([[maybe_unused]] const void* stack_bottom,
                    [[maybe_unused]] std::size_t stack_size) noexcept {
#ifdef WEFT_ASAN
    bottom = stack_bottom;
    size = stack_size;
#endif
#ifdef WEFT_TSAN
    fiber = __tsan_get_current_fiber();
    hold_signals();
    make_room_for_signals();
    has_room_for_signals = true;
    let_signals_in();
#endif
  }

  // For a stack that a fiber is about to start on; what ran there before may have left notes.
  void prepare([[maybe_unused]] const void* stack_bottom,
               [[maybe_unused]] std::size_t stack_size) noexcept {
#ifdef WEFT_ASAN
    bottom = stack_bottom;
    size = stack_size;
    fake_stack = nullptr;
    __asan_unpoison_memory_region(stack_bottom, stack_size);
#endif
#ifdef WEFT_TSAN
    if (fiber != nullptr) return;
    fiber = __tsan_create_fiber(0);
    has_room_for_signals = false;
#endif
  }

#ifdef WEFT_TSAN
  // Copied.
  void name(const char* text) noexcept { __tsan_set_fiber_name(fiber, text); }
#endif

  void destroy() noexcept {
#ifdef WEFT_TSAN
    if (fiber != nullptr) __tsan_destroy_fiber(fiber);
    fiber = nullptr;
#endif
  }
};

// Before the switch; `from` is null when its stack will never be returned to.
WEFT_NOT_COUNTED_BY_TSAN inline void
sanitizer_leave([[maybe_unused]] sanitizer_context* from,
                [[maybe_unused]] sanitizer_context& to) noexcept {
#ifdef WEFT_ASAN
  __sanitizer_start_switch_fiber(from != nullptr ? &from->fake_stack : nullptr, to.bottom, to.size);
#endif
#ifdef WEFT_TSAN
  hold_signals();
  __tsan_switch_to_fiber(to.fiber, 0);
#endif
}

// First thing after the switch, on the stack of `self`.
WEFT_NOT_COUNTED_BY_TSAN inline void
sanitizer_arrive([[maybe_unused]] sanitizer_context& self) noexcept {
#ifdef WEFT_ASAN
  __sanitizer_finish_switch_fiber(self.fake_stack, nullptr, nullptr);
#endif
#ifdef WEFT_TSAN
  if (!self.has_room_for_signals) make_room_for_signals();
  self.has_room_for_signals = true;
  let_signals_in();
#endif
}

}  // namespace weft::detail
