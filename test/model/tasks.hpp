// What the models of several kinds of tasks share.
#pragma once

#include <chrono>
#include <utility>

#include <weft/fiber/detail/atomic.hpp>
#include <weft/fiber/runtime.hpp>

#include "execution.hpp"

namespace weft::model {

/// Calls `body()` on the main fiber of a runtime of its own, whose worker is the calling thread.
template <class Body>
void in_fiber(Body&& body) {
  runtime worker;
  worker.run([&] { std::forward<Body>(body)(); });
}

/// A deadline that a model may let pass.
inline time_point soon() noexcept { return now() + std::chrono::milliseconds{2}; }

/// A place where others may run.
inline void let_others_run() noexcept {
  static constinit detail::atomic<int> nothing{0};
  nothing.load(std::memory_order_relaxed);
}

}  // namespace weft::model
