// Where the frames of coroutines come from: a cache of the worker, before the heap. Not for users.
//
// A frame may be freed on another thread than the one it was made on; it then goes into the cache
// of that one. Threads: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>

#include <weft/fiber/detail/worker_view.hpp>

namespace weft::detail {

// AddressSanitizer is to see every use after the end.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool frames_are_cached = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool frames_are_cached = false;
#else
inline constexpr bool frames_are_cached = true;
#endif
#else
inline constexpr bool frames_are_cached = true;
#endif

constexpr std::size_t frame_class(std::size_t size) noexcept {
  return (size - 1) / frame_cache::step;
}

// Errors: std::bad_alloc.
inline void* allocate_frame(std::size_t size) {
  const std::size_t index = frame_class(size);
  if (!frames_are_cached || index >= frame_cache::classes) return new_frame(size);
  worker_view* const worker = running_worker;
  frame_cache::entry* const taken = worker != nullptr ? worker->frames.free[index] : nullptr;
  // As large as its class, on a plain thread too: a worker may free it and use it again.
  if (taken == nullptr) return new_frame((index + 1) * frame_cache::step);
  worker->frames.free[index] = taken->next;
  --worker->frames.count[index];
  return taken;
}

inline void free_frame(void* frame, std::size_t size) noexcept {
  const std::size_t index = frame_class(size);
  worker_view* const worker = running_worker;
  if (!frames_are_cached || worker == nullptr || index >= frame_cache::classes ||
      worker->frames.count[index] == frame_cache::most) {
    return delete_frame(frame);
  }
  worker->frames.free[index] = ::new (frame) frame_cache::entry{worker->frames.free[index]};
  ++worker->frames.count[index];
}

// Whether an object that lives is a part of this frame.
inline bool frame_contains(const void* frame, const void* object) noexcept {
  const frame_header& header = header_of(frame);
  const auto offset =
      reinterpret_cast<std::uintptr_t>(object) - reinterpret_cast<std::uintptr_t>(frame);
  return header.frame == frame && offset < header.room;
}

}  // namespace weft::detail
