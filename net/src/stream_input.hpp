// What a stream has read and nobody has taken yet.
//
// It is in two pieces: bytes carried over from earlier reads, in memory of their own, and behind
// them the rest of the last read, still in the buffer that the worker has lent. So a stream that
// waits holds no buffer, and lines that come whole are copied once.
// Threads: one task at a time.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include <weft/fiber/co/task.hpp>
#include <weft/net/borrowed_bytes.hpp>
#include <weft/net/socket.hpp>

namespace weft::net::detail {

class stream_input {
public:
  static constexpr std::size_t none = std::string_view::npos;

  std::size_t size() const noexcept { return carried().size() + fresh_.size(); }

  // Returns where the first `delimiter` ends, counted from the first byte, or `none`. It is known
  // to begin nowhere before `searched`.
  std::size_t end_of(std::string_view delimiter, std::size_t searched) const;

  // Takes the first `count` bytes, which must be there.
  std::string take(std::size_t count);
  // Takes as many as there are and fit.
  std::size_t take(std::span<std::byte> into) noexcept;

  // Reads from the socket, behind what is there. Errors as socket::read_some_borrowed().
  void read_more(socket& from, std::error_code& ec);
  // The same for a coroutine.
  co::task<> co_read_more(socket& from, std::error_code& ec);

private:
  std::string_view carried() const noexcept { return std::string_view{carried_}.substr(taken_); }

  void copy(std::size_t count, char* to) const noexcept;
  void drop(std::size_t count) noexcept;
  void carry_over();
  void keep(borrowed_bytes more) noexcept;

  std::string carried_;
  std::size_t taken_ = 0;  // of `carried_`
  borrowed_bytes lease_;   // what `fresh_` looks at
  std::string_view fresh_;
};

}  // namespace weft::net::detail
