// What a stream is made of, for its operations that block and for those of coroutines.
//
// Threads: as weft::net::stream.
#pragma once

#include <algorithm>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <weft/fiber/co/task.hpp>
#include <weft/fiber/detail/atomic.hpp>
#include <weft/fiber/error.hpp>
#include <weft/fiber/mutex.hpp>
#include <weft/net/stream.hpp>

#include "stream_input.hpp"
#include "stream_output.hpp"

namespace weft::net {

struct stream::state {
  // What `unflushed` may be besides a task.
  static constexpr std::uintptr_t nobody = 0;
  static constexpr std::uintptr_t several = 1;

  class turn;

  state(net::socket given, const stream_options& options)
      : connection(std::move(given)), max_line(options.max_line),
        high_water(std::min(options.high_water, borrowed_bytes::capacity)) {}

  std::string read_text(std::string_view delimiter, bool rest_at_end, std::error_code& ec);
  bool owes_a_flush() const noexcept;
  void flush_own(std::error_code& ec);
  std::size_t flush(std::error_code& ec);
  // The same for coroutines.
  co::task<std::string> co_read_text(std::string_view delimiter, bool rest_at_end,
                                     std::error_code& ec);
  co::task<> co_flush_own(std::error_code& ec);
  co::task<std::size_t> co_flush(std::error_code& ec);
  void after_write(std::error_code ec) noexcept;
  void tell_of_loss() const noexcept;

  net::socket connection;
  std::unique_ptr<endpoint> remote;  // null: the system is asked
  const std::size_t max_line;
  const std::size_t high_water;
  const int exceptions = std::uncaught_exceptions();

  mutex reading;
  detail::stream_input input;  // guarded by `reading`

  mutex writing;
  detail::stream_output output;  // guarded by `writing`, as the next
  std::error_code broken;        // why nothing can be written any more

  // Whose bytes are pending in `output`: the address of the waiter of a task, nobody's, or those of
  // several. Written with `writing` held. Relaxed: a task looks only for what it has stored itself,
  // or what another has stored after it.
  weft::detail::atomic<std::uintptr_t> unflushed{nobody};
  // An operation has told its caller of an error, or the stream was closed. Relaxed: it is looked
  // at by the destructor alone, which comes after all operations anyway.
  weft::detail::atomic<bool> told{false};
};

// The turn of one operation among those that read, or those that write.
class stream::state::turn {
public:
  // Checks for cancellation, waits for the turn, and looks whether the stream is open.
  turn(state& of, mutex& side, std::error_code& ec) : of_(of), side_(side), ec_(ec) {
    side_.lock(ec_);
    held_ = !ec_;
    if (held_ && !of_.connection.is_open()) ec_ = errc::closed;
  }

  // For a coroutine that has tried to lock `side`; `ec` says with what success.
  struct tried {};

  turn(state& of, mutex& side, std::error_code& ec, tried /*tag*/)
      : of_(of), side_(side), ec_(ec), held_(!ec) {
    if (held_ && !of_.connection.is_open()) ec_ = errc::closed;
  }

  turn(const turn&) = delete;
  turn& operator=(const turn&) = delete;

  ~turn() {
    if (ec_ && ec_ != errc::eof) of_.told.store(true, std::memory_order_relaxed);
    if (held_) side_.unlock();
  }

  explicit operator bool() const noexcept { return !ec_; }

private:
  state& of_;
  mutex& side_;
  std::error_code& ec_;
  bool held_ = false;
};

}  // namespace weft::net
