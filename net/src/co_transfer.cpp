#include <algorithm>
#include <new>
#include <sys/socket.h>
#include <utility>

#include <weft/fiber/error.hpp>
#include <weft/net/detail/co_transfer.hpp>
#include <weft/net/socket.hpp>

#include "buffer_pool.hpp"
#include "descriptor_io.hpp"
#include "socket_io.hpp"

namespace weft::net {
namespace detail {

static_assert(sizeof(io_turn) <= 40 && alignof(io_turn) <= 8);

co_transfer::co_transfer(const descriptor& target, kind what, std::span<std::byte> buffer,
                         weft::detail::error_to error) noexcept
    : error_(error), data_(buffer.data()), size_(buffer.size()), kind_(what) {
  ::new (turn_) io_turn{target, what == kind::write ? direction::write : direction::read};
}

co_transfer::~co_transfer() {
  turn().~io_turn();
  if (buffer_ != nullptr) buffer_->home->take_back(*buffer_);
}

io_turn& co_transfer::turn() noexcept { return *std::launder(reinterpret_cast<io_turn*>(turn_)); }

bool co_transfer::start() noexcept {
  if (size_ == 0) {  // what every operation checks before it tries, and no wait for a turn
    turn().may_go_on(error_.code);
    return complete();
  }
  // A read mostly waits, a write seldom.
  switch (kind_ == kind::write ? turn().begin(*this, wait_, error_.code)
                               : turn().begin_with_event(*this, wait_, error_.code)) {
  case io_progress::suspended_for_event: phase_ = phase::for_event; return false;
  case io_progress::suspended: return false;
  case io_progress::failed: return complete();
  case io_progress::ready: break;
  }
  return advance();
}

bool co_transfer::go_on() noexcept {
  io_progress progress = io_progress::ready;
  switch (phase_) {
  case phase::complete: return true;
  case phase::for_turn: progress = turn().turn_has_come(wait_, error_.code); break;
  case phase::for_event: progress = turn().event_has_come(*this, wait_, error_.code); break;
  case phase::to_go_on: break;
  }
  if (progress == io_progress::suspended) return false;
  if (progress == io_progress::failed) return complete();
  if (phase_ == phase::to_go_on && !turn().may_go_on(error_.code)) return complete();
  return advance();
}

// With the turn: system calls, and waits between them.
bool co_transfer::advance() noexcept {
  for (;;) {
    phase_ = phase::for_event;
    const io_progress progress = turn().begin_to_await_ready(*this, wait_, error_.code);
    if (progress == io_progress::suspended) return false;
    if (progress == io_progress::failed) return complete();
    switch (attempt()) {
    case outcome::complete: return complete();
    case outcome::not_ready: turn().not_ready(); break;
    case outcome::again: break;
    case outcome::more:
      if (weft::detail::must_give_way()) return come_back_for(phase::to_go_on);
      if (!turn().may_go_on(error_.code)) return complete();
    }
  }
}

bool co_transfer::come_back_for(phase next) noexcept {
  phase_ = next;
  weft::detail::suspend_ready(*this);
  return false;
}

bool co_transfer::complete() noexcept {
  turn().end();
  return weft::detail::must_give_way() ? come_back_for(phase::complete) : true;
}

// One system call, and what it says.
co_transfer::outcome co_transfer::attempt() noexcept {
  const std::ptrdiff_t got = transfer();
  if (got < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) return outcome::not_ready;
    if (errno == EINTR) return outcome::again;
    if (!error_.code) error_.code = system_error_code(errno);
    return outcome::complete;
  }
  if (got == 0 && kind_ != kind::write) error_.code = errc::eof;
  count_ += static_cast<std::size_t>(got);
  const bool to_the_end = kind_ == kind::read || kind_ == kind::write;
  return to_the_end && !error_.code && count_ < size_ ? outcome::more : outcome::complete;
}

std::ptrdiff_t co_transfer::transfer() noexcept {
  switch (kind_) {
  case kind::write: return ::send(turn().fd(), data_ + count_, size_ - count_, MSG_NOSIGNAL);
  case kind::borrow: return borrow();
  default: return receive_once(turn(), data_ + count_, size_ - count_);
  }
}

std::ptrdiff_t co_transfer::borrow() noexcept {
  buffer_ = lend_buffer(error_.code);
  if (buffer_ == nullptr) {
    errno = error_.code.value();
    return -1;
  }
  return receive_into_lent(turn(), buffer_, size_);
}

co_borrow::co_borrow(const descriptor& target, std::size_t at_most, weft::detail::error_to error,
                     bool eof_is_empty) noexcept
    : co_transfer(target, kind::borrow,
                  // Only the size counts.
                  {static_cast<std::byte*>(nullptr), std::min(at_most, borrowed_bytes::capacity)},
                  error),
      eof_is_empty_(eof_is_empty) {}

borrowed_bytes co_borrow::await_resume() {
  const bool only_eof = error_.code && eof_is_empty_ && error_.code == errc::eof;
  if (!only_eof) error_.report();
  if (count_ == 0) return {};
  io_buffer* const lent = std::exchange(buffer_, nullptr);
  return {lent, {lent->bytes.data(), count_}};
}

}  // namespace detail

using detail::co_borrow;
using detail::co_transfer;
using weft::detail::error_to;

namespace {

std::span<std::byte> only_read(std::span<const std::byte> data) noexcept {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): written to a descriptor, not to it
  return {const_cast<std::byte*>(data.data()), data.size()};
}

}  // namespace

co_transfer socket::co_read_some(std::span<std::byte> buffer, std::error_code& ec) noexcept {
  return {descriptor_, co_transfer::kind::read_some, buffer, error_to{ec}};
}

co_transfer socket::co_read_some(std::span<std::byte> buffer) noexcept {
  return {descriptor_, co_transfer::kind::read_some, buffer, error_to{"socket::read_some"}};
}

co_transfer socket::co_read(std::span<std::byte> buffer, std::error_code& ec) noexcept {
  return {descriptor_, co_transfer::kind::read, buffer, error_to{ec}};
}

co_transfer socket::co_read(std::span<std::byte> buffer) noexcept {
  return {descriptor_, co_transfer::kind::read, buffer, error_to{"socket::read"}};
}

co_borrow socket::co_read_some_borrowed(std::size_t at_most, std::error_code& ec) noexcept {
  return {descriptor_, at_most, error_to{ec}, false};
}

co_borrow socket::co_read_some_borrowed(std::size_t at_most) noexcept {
  return {descriptor_, at_most, error_to{"socket::read_some_borrowed"}, true};
}

co_transfer socket::co_write(std::span<const std::byte> data, std::error_code& ec) noexcept {
  return {descriptor_, co_transfer::kind::write, only_read(data), error_to{ec}};
}

co_transfer socket::co_write(std::span<const std::byte> data) noexcept {
  return {descriptor_, co_transfer::kind::write, only_read(data), error_to{"socket::write"}};
}

}  // namespace weft::net
