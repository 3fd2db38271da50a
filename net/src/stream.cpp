#include <algorithm>
#include <cstdint>
#include <exception>
#include <utility>

#include <weft/fiber/detail/atomic.hpp>
#include <weft/fiber/detail/wait.hpp>
#include <weft/fiber/diagnostics.hpp>
#include <weft/fiber/error.hpp>
#include <weft/fiber/mutex.hpp>
#include <weft/net/stream.hpp>

#include "native_socket.hpp"
#include "stream_state.hpp"

namespace weft::net {

using detail::throw_if;

namespace {

// Whether a write that failed so may be tried again: it was ended, or met a shortage that passes.
bool may_be_repeated(std::error_code ec) noexcept {
  return ec.category() == error_category() || ec == std::errc::not_enough_memory ||
         ec == std::errc::no_buffer_space || ec == std::errc::too_many_files_open ||
         ec == std::errc::too_many_files_open_in_system;
}

std::uintptr_t this_task() noexcept {
  return reinterpret_cast<std::uintptr_t>(&weft::detail::waiter_of_this_task());
}

}  // namespace

// Reads to the end of the next `delimiter`. Where the stream ends before, the rest counts too, if
// `rest_at_end` says so.
std::string stream::state::read_text(std::string_view delimiter, bool rest_at_end,
                                     std::error_code& ec) {
  for (std::size_t searched = 0;;) {
    const std::size_t end = input.end_of(delimiter, searched);
    const bool found = end != detail::stream_input::none;
    if (found && end <= max_line) return input.take(end);
    const std::size_t size = input.size();
    flush_own(ec);
    if (!ec && (found || size > max_line)) ec = std::make_error_code(std::errc::message_size);
    if (ec) return {};
    searched = size - std::min(size, delimiter.size() - 1);
    input.read_more(connection, ec);
    if (ec == errc::eof && rest_at_end && size > 0) {
      ec.clear();
      return input.take(size);
    }
    if (ec) return {};
  }
}

// Whether the running task has written what has not gone out.
bool stream::state::owes_a_flush() const noexcept {
  const std::uintptr_t owing = unflushed.load(std::memory_order_relaxed);
  return owing != nobody && (owing == several || owing == this_task());
}

// What a task does before it waits for input, and before it is told that there is none.
void stream::state::flush_own(std::error_code& ec) {
  if (!owes_a_flush()) return;
  const turn held{*this, writing, ec};
  if (held) flush(ec);
}

// With `writing` held.
std::size_t stream::state::flush(std::error_code& ec) {
  ec = broken;
  if (ec) return 0;
  const std::size_t sent = output.flush(connection, ec);
  after_write(ec);
  return sent;
}

void stream::state::after_write(std::error_code ec) noexcept {
  if (ec && !may_be_repeated(ec)) broken = ec;
  std::uintptr_t owing = nobody;
  if (output.pending() > 0 && !broken) {
    const std::uintptr_t before = unflushed.load(std::memory_order_relaxed);
    const std::uintptr_t task = this_task();
    owing = before == nobody || before == task ? task : several;
  }
  unflushed.store(owing, std::memory_order_relaxed);
}

void stream::state::tell_of_loss() const noexcept {
  if (output.pending() == 0 || told.load(std::memory_order_relaxed) ||
      std::uncaught_exceptions() > exceptions) {
    return;
  }
  try {
    diagnose("a stream was destroyed before " + std::to_string(output.pending()) +
             " bytes written to it were flushed; they are lost");
  } catch (const std::bad_alloc&) {
    diagnose("a stream was destroyed before all that was written to it was flushed");
  }
}

// ---- the stream itself --------------------------------------------------------------------------

stream::stream(net::socket connection, const stream_options& options)
    : state_(std::make_unique<state>(std::move(connection), options)) {}

stream::stream(net::socket connection, const endpoint& remote, const stream_options& options)
    : stream(std::move(connection), options) {
  state_->remote = std::make_unique<endpoint>(remote);
}

stream::stream(stream&& other) noexcept = default;

stream& stream::operator=(stream&& other) noexcept {
  if (this != &other) {
    if (state_) state_->tell_of_loss();
    state_ = std::move(other.state_);
  }
  return *this;
}

stream::~stream() {
  if (state_) state_->tell_of_loss();
}

void stream::close() noexcept {
  state_->told.store(true, std::memory_order_relaxed);
  state_->connection.close();
}

bool stream::is_open() const noexcept { return state_ && state_->connection.is_open(); }

net::socket& stream::socket() noexcept { return state_->connection; }

endpoint stream::remote_endpoint(std::error_code& ec) const {
  if (!state_->remote) return state_->connection.remote_endpoint(ec);
  ec.clear();
  return *state_->remote;
}

endpoint stream::remote_endpoint() const {
  std::error_code ec;
  const endpoint result = remote_endpoint(ec);
  throw_if(ec, "stream::remote_endpoint");
  return result;
}

// ---- reading ------------------------------------------------------------------------------------

std::size_t stream::available() const noexcept { return state_->input.size(); }

std::size_t stream::read_some(std::span<std::byte> buffer, std::error_code& ec) {
  const state::turn turn{*state_, state_->reading, ec};
  if (!turn) return 0;
  const std::size_t count = state_->input.take(buffer);
  if (count > 0 || buffer.empty()) return count;
  state_->flush_own(ec);
  return ec ? 0 : state_->connection.read_some(buffer, ec);
}

std::size_t stream::read(std::span<std::byte> buffer, std::error_code& ec) {
  const state::turn turn{*state_, state_->reading, ec};
  if (!turn) return 0;
  const std::size_t count = state_->input.take(buffer);
  if (count == buffer.size()) return count;
  state_->flush_own(ec);
  return ec ? count : count + state_->connection.read(buffer.subspan(count), ec);
}

std::string stream::read_until(std::string_view delimiter, std::error_code& ec) {
  const state::turn turn{*state_, state_->reading, ec};
  if (!turn) return {};
  if (delimiter.empty()) {
    ec = std::make_error_code(std::errc::invalid_argument);
    return {};
  }
  return state_->read_text(delimiter, false, ec);
}

std::optional<std::string> stream::read_line(std::error_code& ec) {
  const state::turn turn{*state_, state_->reading, ec};
  if (!turn) return {};
  std::string line = state_->read_text("\n", true, ec);
  if (ec) return {};
  return line;
}

std::string stream::read_all(std::size_t limit, std::error_code& ec) {
  const state::turn turn{*state_, state_->reading, ec};
  if (!turn) return {};
  detail::stream_input& input = state_->input;
  while (!ec && input.size() <= limit) {
    state_->flush_own(ec);
    if (!ec) input.read_more(state_->connection, ec);
  }
  if (ec == errc::eof) {
    ec.clear();
    return input.take(input.size());
  }
  if (!ec) ec = std::make_error_code(std::errc::message_size);
  return {};
}

stream::line_range stream::lines() noexcept { return {*this, nullptr}; }

stream::line_range stream::lines(std::error_code& ec) noexcept { return {*this, &ec}; }

void stream::line_range::step() {
  std::error_code ec;
  std::optional<std::string> line = from_->read_line(ec);
  at_end_ = !line.has_value();
  if (line) line_ = std::move(*line);
  if (ec == errc::eof) ec.clear();
  if (ec_ != nullptr) {
    *ec_ = ec;
  } else {
    throw_if(ec, "stream::lines");
  }
}

std::size_t stream::read_some(std::span<std::byte> buffer) {
  std::error_code ec;
  const std::size_t count = read_some(buffer, ec);
  throw_if(ec, "stream::read_some");
  return count;
}

std::size_t stream::read(std::span<std::byte> buffer) {
  std::error_code ec;
  const std::size_t count = read(buffer, ec);
  throw_if(ec, "stream::read");
  return count;
}

std::string stream::read_until(std::string_view delimiter) {
  std::error_code ec;
  std::string text = read_until(delimiter, ec);
  throw_if(ec, "stream::read_until");
  return text;
}

std::optional<std::string> stream::read_line() {
  std::error_code ec;
  std::optional<std::string> line = read_line(ec);
  if (ec != errc::eof) throw_if(ec, "stream::read_line");
  return line;
}

std::string stream::read_all(std::size_t limit) {
  std::error_code ec;
  std::string text = read_all(limit, ec);
  throw_if(ec, "stream::read_all");
  return text;
}

// ---- writing ------------------------------------------------------------------------------------

std::size_t stream::pending() const noexcept { return state_->output.pending(); }

std::size_t stream::write(std::span<const std::byte> data, std::error_code& ec) {
  state& s = *state_;
  const state::turn turn{s, s.writing, ec};
  if (turn) ec = s.broken;
  if (!turn || data.empty()) return 0;
  const std::size_t count = s.output.write(s.connection, data, s.high_water, ec);
  s.after_write(ec);
  if (!ec) s.told.store(false, std::memory_order_relaxed);
  return count;
}

std::size_t stream::flush(std::error_code& ec) {
  const state::turn turn{*state_, state_->writing, ec};
  return turn ? state_->flush(ec) : 0;
}

void stream::shutdown(std::error_code& ec) {
  const state::turn turn{*state_, state_->writing, ec};
  if (turn) state_->flush(ec);
  if (turn) state_->connection.shutdown(net::socket::side::write, ec);
}

std::size_t stream::write(std::span<const std::byte> data) {
  std::error_code ec;
  const std::size_t count = write(data, ec);
  throw_if(ec, "stream::write");
  return count;
}

std::size_t stream::flush() {
  std::error_code ec;
  const std::size_t count = flush(ec);
  throw_if(ec, "stream::flush");
  return count;
}

void stream::shutdown() {
  std::error_code ec;
  shutdown(ec);
  throw_if(ec, "stream::shutdown");
}

}  // namespace weft::net
