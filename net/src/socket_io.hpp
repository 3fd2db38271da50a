// The system calls of weft::net::socket, for tasks that block and for coroutines.
#pragma once

#include <cstddef>
#include <sys/socket.h>
#include <utility>

#include "buffer_pool.hpp"
#include "descriptor_io.hpp"

namespace weft::net::detail {

// One recv(2), and what it says of the data that is left.
inline std::ptrdiff_t receive_once(io_turn& turn, std::byte* buffer, std::size_t size) noexcept {
  const std::ptrdiff_t count = ::recv(turn.fd(), buffer, size, 0);
  if (count > 0 && static_cast<std::size_t>(count) < size &&
      turn.record().short_read_means_drained()) {
    turn.not_ready();
  }
  return count;
}

// The same into a buffer that was lent, which goes back if nothing came: none is held while the
// operation waits.
inline std::ptrdiff_t receive_into_lent(io_turn& turn, io_buffer*& lent,
                                        std::size_t size) noexcept {
  const std::ptrdiff_t count = receive_once(turn, lent->bytes.data(), size);
  if (count <= 0) {
    io_buffer& unused = *std::exchange(lent, nullptr);
    unused.home->take_back(unused);
  }
  return count;
}

}  // namespace weft::net::detail
