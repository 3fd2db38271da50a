// The buffers of a worker into which borrowed reads go. The one returned last is lent first, so
// that all connections of a worker share one that stays in the cache.
//
// Lives as long as one of its buffers is lent.
// Threads: lend() and abandon() the worker; a buffer may come back from any.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <weft/fiber/detail/spin_lock.hpp>

namespace weft::net::detail {

class buffer_pool;

struct io_buffer {
  static constexpr std::size_t capacity = std::size_t{16} * 1024;

  buffer_pool* home = nullptr;
  io_buffer* next_free = nullptr;
  std::array<std::byte, capacity> bytes;
};

class buffer_pool {
public:
  static buffer_pool* create() { return new buffer_pool; }

  buffer_pool(const buffer_pool&) = delete;
  buffer_pool& operator=(const buffer_pool&) = delete;

  // Null when there is no memory.
  io_buffer* lend() noexcept;
  // From any thread.
  void take_back(io_buffer& buffer) noexcept;

  // The owner gives the pool up: it goes with the last buffer that comes back.
  void abandon() noexcept;

private:
  static constexpr std::size_t keep = 16;  // free buffers

  buffer_pool() = default;
  ~buffer_pool();

  void delete_locked(io_buffer& buffer) noexcept;

  weft::detail::spin_lock lock_;
  io_buffer* free_ = nullptr;
  std::size_t free_count_ = 0;  // `keep` as soon as none is to be kept
  std::size_t lent_ = 0;
  bool abandoned_ = false;
};

}  // namespace weft::net::detail
