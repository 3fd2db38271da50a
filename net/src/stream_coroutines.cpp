// The operations of weft::net::stream for coroutines; those that block are in stream.cpp.
#include "native_socket.hpp"
#include "stream_state.hpp"

namespace weft::net {

using detail::throw_if;

co::task<std::string> stream::state::co_read_text(std::string_view delimiter, bool rest_at_end,
                                                  std::error_code& ec) {
  for (std::size_t searched = 0;;) {
    const std::size_t end = input.end_of(delimiter, searched);
    const bool found = end != detail::stream_input::none;
    if (found && end <= max_line) co_return input.take(end);
    const std::size_t size = input.size();
    co_await co_flush_own(ec);
    if (!ec && (found || size > max_line)) ec = std::make_error_code(std::errc::message_size);
    if (ec) co_return std::string{};
    searched = size - std::min(size, delimiter.size() - 1);
    co_await input.co_read_more(connection, ec);
    if (ec == errc::eof && rest_at_end && size > 0) {
      ec.clear();
      co_return input.take(size);
    }
    if (ec) co_return std::string{};
  }
}

co::task<> stream::state::co_flush_own(std::error_code& ec) {
  if (!owes_a_flush()) co_return;
  co_await writing.co_lock(ec);
  const turn held{*this, writing, ec, turn::tried{}};
  if (held) co_await co_flush(ec);
}

// With `writing` held.
co::task<std::size_t> stream::state::co_flush(std::error_code& ec) {
  ec = broken;
  if (ec) co_return std::size_t{0};
  const std::size_t sent = co_await output.co_flush(connection, ec);
  after_write(ec);
  co_return sent;
}

// ---- reading -----------------------------------------------------------------------------------

co::task<std::size_t> stream::co_read_some(std::span<std::byte> buffer, std::error_code& ec) {
  state& s = *state_;
  co_await s.reading.co_lock(ec);
  const state::turn turn{s, s.reading, ec, state::turn::tried{}};
  if (!turn) co_return std::size_t{0};
  const std::size_t count = s.input.take(buffer);
  if (count > 0 || buffer.empty()) co_return count;
  co_await s.co_flush_own(ec);
  if (ec) co_return std::size_t{0};
  co_return co_await s.connection.co_read_some(buffer, ec);
}

co::task<std::size_t> stream::co_read(std::span<std::byte> buffer, std::error_code& ec) {
  state& s = *state_;
  co_await s.reading.co_lock(ec);
  const state::turn turn{s, s.reading, ec, state::turn::tried{}};
  if (!turn) co_return std::size_t{0};
  // Before anything is taken: there may be no memory for its frame.
  if (s.input.size() < buffer.size()) co_await s.co_flush_own(ec);
  const std::size_t count = s.input.take(buffer);
  if (ec || count == buffer.size()) co_return count;
  co_return count + co_await s.connection.co_read(buffer.subspan(count), ec);
}

co::task<std::string> stream::co_read_until(std::string_view delimiter, std::error_code& ec) {
  state& s = *state_;
  co_await s.reading.co_lock(ec);
  const state::turn turn{s, s.reading, ec, state::turn::tried{}};
  if (!turn) co_return std::string{};
  if (delimiter.empty()) {
    ec = std::make_error_code(std::errc::invalid_argument);
    co_return std::string{};
  }
  co_return co_await s.co_read_text(delimiter, false, ec);
}

co::task<std::optional<std::string>> stream::co_read_line(std::error_code& ec) {
  state& s = *state_;
  co_await s.reading.co_lock(ec);
  const state::turn turn{s, s.reading, ec, state::turn::tried{}};
  if (!turn) co_return std::nullopt;
  std::string line = co_await s.co_read_text("\n", true, ec);
  if (ec) co_return std::nullopt;
  co_return std::move(line);
}

co::task<std::string> stream::co_read_all(std::size_t limit, std::error_code& ec) {
  state& s = *state_;
  co_await s.reading.co_lock(ec);
  const state::turn turn{s, s.reading, ec, state::turn::tried{}};
  if (!turn) co_return std::string{};
  while (!ec && s.input.size() <= limit) {
    co_await s.co_flush_own(ec);
    if (!ec) co_await s.input.co_read_more(s.connection, ec);
  }
  if (ec == errc::eof) {
    ec.clear();
    co_return s.input.take(s.input.size());
  }
  if (!ec) ec = std::make_error_code(std::errc::message_size);
  co_return std::string{};
}

// ---- writing -----------------------------------------------------------------------------------

co::task<std::size_t> stream::co_write(std::span<const std::byte> data, std::error_code& ec) {
  state& s = *state_;
  co_await s.writing.co_lock(ec);
  const state::turn turn{s, s.writing, ec, state::turn::tried{}};
  if (turn) ec = s.broken;
  if (!turn || data.empty()) co_return std::size_t{0};
  const std::size_t count = co_await s.output.co_write(s.connection, data, s.high_water, ec);
  s.after_write(ec);
  if (!ec) s.told.store(false, std::memory_order_relaxed);
  co_return count;
}

co::task<std::size_t> stream::co_flush(std::error_code& ec) {
  state& s = *state_;
  co_await s.writing.co_lock(ec);
  const state::turn turn{s, s.writing, ec, state::turn::tried{}};
  if (!turn) co_return std::size_t{0};
  co_return co_await s.co_flush(ec);
}

co::task<> stream::co_shutdown(std::error_code& ec) {
  state& s = *state_;
  co_await s.writing.co_lock(ec);
  const state::turn turn{s, s.writing, ec, state::turn::tried{}};
  if (turn) co_await s.co_flush(ec);
  if (turn) s.connection.shutdown(net::socket::side::write, ec);
}

// ---- the forms that throw ----------------------------------------------------------------------

co::task<std::size_t> stream::co_read_some(std::span<std::byte> buffer) {
  std::error_code ec;
  const std::size_t result = co_await co_read_some(buffer, ec);
  throw_if(ec, "stream::read_some");
  co_return result;
}

co::task<std::size_t> stream::co_read(std::span<std::byte> buffer) {
  std::error_code ec;
  const std::size_t result = co_await co_read(buffer, ec);
  throw_if(ec, "stream::read");
  co_return result;
}

co::task<std::string> stream::co_read_until(std::string_view delimiter) {
  std::error_code ec;
  auto result = co_await co_read_until(delimiter, ec);
  throw_if(ec, "stream::read_until");
  co_return std::move(result);
}

co::task<std::optional<std::string>> stream::co_read_line() {
  std::error_code ec;
  auto result = co_await co_read_line(ec);
  if (ec != errc::eof) throw_if(ec, "stream::read_line");
  co_return std::move(result);
}

co::task<std::string> stream::co_read_all(std::size_t limit) {
  std::error_code ec;
  auto result = co_await co_read_all(limit, ec);
  throw_if(ec, "stream::read_all");
  co_return std::move(result);
}

co::task<std::size_t> stream::co_write(std::span<const std::byte> data) {
  std::error_code ec;
  const std::size_t result = co_await co_write(data, ec);
  throw_if(ec, "stream::write");
  co_return result;
}

co::task<std::size_t> stream::co_flush() {
  std::error_code ec;
  const std::size_t result = co_await co_flush(ec);
  throw_if(ec, "stream::flush");
  co_return result;
}

co::task<> stream::co_shutdown() {
  std::error_code ec;
  co_await co_shutdown(ec);
  throw_if(ec, "stream::shutdown");
}

}  // namespace weft::net
