// What valgrind must be told of stacks: without, it takes a switch from one to another for frames
// that come and go. A few instructions without effect where it does not run, and nothing where its
// header was not there when this was compiled.
#pragma once

#include <cstddef>

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

namespace weft::detail {

inline bool runs_on_valgrind() noexcept { return RUNNING_ON_VALGRIND != 0; }

// Returns the number by which it is deregistered, before it is unmapped.
inline unsigned register_stack([[maybe_unused]] const std::byte* base,
                               [[maybe_unused]] std::size_t size) noexcept {
#ifdef VALGRIND_STACK_REGISTER
  return VALGRIND_STACK_REGISTER(base, base + size - 1);
#else
  return 0;
#endif
}

inline void deregister_stack([[maybe_unused]] unsigned number) noexcept {
#ifdef VALGRIND_STACK_DEREGISTER
  VALGRIND_STACK_DEREGISTER(number);
#endif
}

}  // namespace weft::detail
