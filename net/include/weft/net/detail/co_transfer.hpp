// What a coroutine awaits when it reads from a socket or writes to it. Not for users.
//
// It makes the same system calls in the same turns as the operations that block, and takes no
// memory beside itself, in the frame of the coroutine.
// Threads: the coroutine that awaits it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>

#include <weft/fiber/detail/co_wait.hpp>
#include <weft/net/borrowed_bytes.hpp>
#include <weft/net/detail/descriptor.hpp>

namespace weft::net::detail {

class io_turn;
struct io_buffer;
enum class direction : std::uint8_t;
enum class io_progress : std::uint8_t;

class [[nodiscard]] co_transfer : public weft::detail::co_operation<co_transfer> {
public:
  enum class kind : std::uint8_t { read_some, read, borrow, write };

  co_transfer(const descriptor& target, kind what, std::span<std::byte> buffer,
              weft::detail::error_to error) noexcept;
  ~co_transfer();

  bool start() noexcept;
  bool go_on() noexcept;

  /// Returns how many bytes were transferred.
  std::size_t await_resume() const {
    error_.report();
    return count_;
  }

protected:
  weft::detail::co_error error_;
  io_buffer* buffer_ = nullptr;  // that was lent
  std::size_t count_ = 0;

private:
  enum class phase : std::uint8_t { for_turn, for_event, to_go_on, complete };
  enum class outcome : std::uint8_t { complete, not_ready, again, more };

  io_turn& turn() noexcept;
  bool advance() noexcept;
  bool come_back_for(phase next) noexcept;
  bool complete() noexcept;
  outcome attempt() noexcept;
  std::ptrdiff_t transfer() noexcept;
  std::ptrdiff_t borrow() noexcept;

  std::byte* const data_;
  const std::size_t size_;
  weft::detail::list_suspension wait_;
  const kind kind_;
  phase phase_ = phase::for_turn;
  alignas(8) std::byte turn_[40];  // an io_turn
};

// The same for borrowed_bytes.
class [[nodiscard]] co_borrow final : public co_transfer {
public:
  co_borrow(const descriptor& target, std::size_t at_most, weft::detail::error_to error,
            bool eof_is_empty) noexcept;

  borrowed_bytes await_resume();

private:
  const bool eof_is_empty_;  // and no error
};

}  // namespace weft::net::detail
