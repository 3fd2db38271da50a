// A call that the compiler may neither inline nor turn into a loop: what is counted is its depth.
#pragma once

namespace task_bench {

/// How many chains each of the two tasks builds between two looks at the clock.
inline constexpr unsigned chains_at_once = 200;

inline constexpr unsigned chain_tasks = 2;

/// Makes `value` unknown to the compiler.
inline void hide(int& value) noexcept { asm volatile("" : "+r"(value)); }

/// Calls `depth` functions deep, and `wait` in the innermost one. Returns the depth.
template <typename Wait>
[[gnu::noinline]] int call_down(int depth, const Wait& wait) {
  if (depth == 1) {
    wait();
  } else {
    depth = 1 + call_down(depth - 1, wait);
  }
  hide(depth);
  return depth;
}

}  // namespace task_bench
