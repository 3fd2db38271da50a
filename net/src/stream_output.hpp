// What was written to a stream and has not gone out: one buffer of the worker, held only while
// there is something in it.
//
// Threads: one task at a time.
#pragma once

#include <cstddef>
#include <span>
#include <system_error>

#include <weft/fiber/co/task.hpp>
#include <weft/net/socket.hpp>

#include "buffer_pool.hpp"

namespace weft::net::detail {

class stream_output {
public:
  stream_output() = default;
  stream_output(const stream_output&) = delete;
  stream_output& operator=(const stream_output&) = delete;

  ~stream_output() { give_back(); }

  std::size_t pending() const noexcept { return end_ - begin_; }

  // Keeps `data` if no more than `high_water` bytes are pending then; sends what there is too much.
  // Returns `data.size()`; with `ec` set how many bytes of it have been sent, the rest is not kept.
  // Errors: those of socket::write(), std::errc::not_enough_memory.
  std::size_t write(socket& to, std::span<const std::byte> data, std::size_t high_water,
                    std::error_code& ec);

  // Sends what is pending. Returns how many bytes went out. Errors: those of socket::write().
  std::size_t flush(socket& to, std::error_code& ec);

  // The same for coroutines.
  co::task<std::size_t> co_write(socket& to, std::span<const std::byte> data,
                                 std::size_t high_water, std::error_code& ec);
  co::task<std::size_t> co_flush(socket& to, std::error_code& ec);

private:
  void keep(std::span<const std::byte> data, std::error_code& ec);
  std::size_t fill_up_and_flush(socket& to, std::span<const std::byte> data, std::size_t high_water,
                                std::error_code& ec);
  co::task<std::size_t> co_fill_up_and_flush(socket& to, std::span<const std::byte> data,
                                             std::size_t high_water, std::error_code& ec);
  std::size_t take_back_unsent(std::size_t filled) noexcept;
  bool must_flush_before(std::size_t size, std::size_t high_water) const noexcept;
  std::span<const std::byte> unsent() const noexcept;
  std::size_t sent(std::size_t count) noexcept;
  void give_back() noexcept;

  io_buffer* buffer_ = nullptr;  // null while nothing is pending
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace weft::net::detail
