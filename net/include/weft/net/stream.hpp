// A buffered stream over a socket: lines and whole texts in, gathered writes out.
//
//     for (auto& line : peer.lines()) peer.write(line);  // an echo server, line by line
//
// What is written is gathered up to a high-water mark. A task that is about to wait for input from
// a stream first sends what it has written to it, so that two ends that answer each other never
// both wait; before it waits for anything else, and at its end, it says flush(). A read of text
// that fails, by a cancellation for example, has taken nothing: what had come stays in the buffer
// for the next one.
//
// A stream that waits with nothing in its buffers takes no memory but for its state of some 250
// bytes. Text that is not complete yet takes memory of its own size, never more than the limits
// below and one read; what is not sent yet takes one buffer of the worker.
//
// The destructor never waits: bytes that were not flushed are lost. It says so in one line on the
// diagnostics sink, unless an operation has reported an error since the last write, or an exception
// is passing.
// Threads: fibers of one runtime, on whichever of its workers, and plain threads, which block.
// Several may use a stream at once: readers are served in the order in which they came, each whole
// text before the next, and so are writers; close() from any of them. The one that moves or
// destroys it must be alone.
#pragma once

#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include <weft/fiber/co/task.hpp>
#include <weft/net/borrowed_bytes.hpp>
#include <weft/net/endpoint.hpp>
#include <weft/net/socket.hpp>

namespace weft::net {

struct stream_options {
  /// The longest text that read_line() and read_until() return, in bytes, its delimiter included.
  std::size_t max_line = std::size_t{64} * 1024;
  /// How many bytes may be written before they go out; at most 16 KiB, 0 sends everything at once.
  std::size_t high_water = borrowed_bytes::capacity;
};

class stream {
public:
  class line_range;

  /// A stream over `connection`, which it takes over. It sets no option of the socket: where small
  /// flushes matter, `socket().set_no_delay(true)`.
  ///
  /// Errors: throws std::bad_alloc.
  explicit stream(net::socket connection, const stream_options& options = {});
  /// The same, and remote_endpoint() is `remote`, as accept() told it, even after the peer has
  /// gone.
  stream(net::socket connection, const endpoint& remote, const stream_options& options = {});
  /// What is left of a stream that was moved away may be assigned to and destroyed.
  stream(stream&& other) noexcept;
  stream& operator=(stream&& other) noexcept;
  ~stream();

  // ---- reading ----
  //
  // Waits:  for input, after what the task itself has written was flushed; never while the buffer
  //         holds enough.
  // Ends:   when the task is cancelled or the stream is closed.
  // Errors: errc::eof, errc::cancelled, errc::closed; else errno of recv(2), and of send(2) where
  //         the flush before failed. A flush that failed for good is told once: the next read goes
  //         on with what the peer has sent. Those that return text throw std::bad_alloc.

  /// Reads at least one byte into `buffer`. Returns how many; 0 with `ec` set on an error, and 0
  /// with no error only for an empty `buffer`.
  std::size_t read_some(std::span<std::byte> buffer, std::error_code& ec);
  /// The same; throws std::system_error where the overload above sets `ec`.
  std::size_t read_some(std::span<std::byte> buffer);

  /// Fills `buffer`. Returns how many bytes were read: fewer than `buffer.size()` only with `ec`
  /// set. After an error the bytes read so far are in `buffer`, and no longer in the stream.
  std::size_t read(std::span<std::byte> buffer, std::error_code& ec);
  /// The same; throws std::system_error where the overload above sets `ec`.
  std::size_t read(std::span<std::byte> buffer);

  /// Reads up to and including the next `delimiter`, of one byte or several, and returns all of it;
  /// empty with `ec` set on an error.
  ///
  /// Errors: also std::errc::message_size when it would be longer than max_line,
  ///         std::errc::invalid_argument for an empty `delimiter`. errc::eof says that the stream
  ///         has ended before.
  /// After:  the bytes read so far are still in the buffer.
  std::string read_until(std::string_view delimiter, std::error_code& ec);
  /// The same; throws std::system_error where the overload above sets `ec`.
  std::string read_until(std::string_view delimiter);

  /// Reads the next line with the newline at its end, so that it can be written back as it is; the
  /// last line of the stream may have none. Empty with `ec` set on an error, errc::eof after the
  /// last line.
  ///
  /// Errors: also std::errc::message_size for a line longer than max_line.
  /// After:  the bytes read so far are still in the buffer.
  std::optional<std::string> read_line(std::error_code& ec);
  /// The same; throws std::system_error where the overload above sets `ec`, but for errc::eof: the
  /// end of the stream is an empty result.
  std::optional<std::string> read_line();

  /// Returns the lines from here to the end of the stream, as read_line() reads them, one at each
  /// step. An element is a std::string that is replaced at the next step: `auto line` copies it,
  /// `auto& line` does not, and it may be moved from. The range refers to the stream.
  ///
  /// Errors: a step throws std::system_error, but not for errc::eof.
  line_range lines() noexcept;
  /// The same; an error ends the range and sets `ec`, which the end of the stream leaves clear.
  line_range lines(std::error_code& ec) noexcept;

  /// Reads to the end of the stream and returns all of it.
  ///
  /// Errors: also std::errc::message_size for more than `limit` bytes.
  /// After:  the bytes read so far are still in the buffer.
  std::string read_all(std::size_t limit, std::error_code& ec);
  /// The same; throws std::system_error where the overload above sets `ec`.
  std::string read_all(std::size_t limit);

  /// Returns how many bytes can be read without waiting for the socket. For the task that reads.
  std::size_t available() const noexcept;

  // ---- writing ----

  /// Takes `data`: keeps it up to the high-water mark, and sends what would be above it, in order.
  /// Returns `data.size()`; on an error how many bytes of `data` went out. The others are not kept;
  /// what earlier calls left in the buffer is.
  ///
  /// Waits:  for room in the send buffer of the socket, if there is more than may be kept.
  /// Ends:   when the task is cancelled or the stream is closed.
  /// Errors: errc::cancelled, errc::closed, std::errc::not_enough_memory; else errno of send(2),
  ///         from then on of every write and flush.
  std::size_t write(std::span<const std::byte> data, std::error_code& ec);
  /// The same; throws std::system_error where the overload above sets `ec`.
  std::size_t write(std::span<const std::byte> data);

  /// The same for text.
  std::size_t write(std::string_view text, std::error_code& ec) {
    return write(std::as_bytes(std::span{text}), ec);
  }

  std::size_t write(std::string_view text) { return write(std::as_bytes(std::span{text})); }

  /// Sends what is kept. Returns how many bytes went out; on an error pending() says how many did
  /// not. Waits, ends and errors as write().
  std::size_t flush(std::error_code& ec);
  /// The same; throws std::system_error where the overload above sets `ec`.
  std::size_t flush();

  /// Flushes, and then ends the stream towards the peer, which sees the end; reading goes on.
  ///
  /// Errors: as flush(), after which it has not been ended; else errno of shutdown(2).
  void shutdown(std::error_code& ec);
  /// The same; throws std::system_error where the overload above sets `ec`.
  void shutdown();

  /// Returns how many bytes are kept and have not gone out. For the task that writes.
  std::size_t pending() const noexcept;

  // ---- for coroutines: as those above without the prefix ----
  //
  // Instead of lines(): `while (auto line = co_await peer.co_read_line())`. What a view refers to
  // must be there until the operation has ended.

  co::task<std::size_t> co_read_some(std::span<std::byte> buffer, std::error_code& ec);
  co::task<std::size_t> co_read_some(std::span<std::byte> buffer);
  co::task<std::size_t> co_read(std::span<std::byte> buffer, std::error_code& ec);
  co::task<std::size_t> co_read(std::span<std::byte> buffer);
  co::task<std::string> co_read_until(std::string_view delimiter, std::error_code& ec);
  co::task<std::string> co_read_until(std::string_view delimiter);
  co::task<std::optional<std::string>> co_read_line(std::error_code& ec);
  co::task<std::optional<std::string>> co_read_line();
  co::task<std::string> co_read_all(std::size_t limit, std::error_code& ec);
  co::task<std::string> co_read_all(std::size_t limit);
  co::task<std::size_t> co_write(std::span<const std::byte> data, std::error_code& ec);
  co::task<std::size_t> co_write(std::span<const std::byte> data);
  co::task<std::size_t> co_flush(std::error_code& ec);
  co::task<std::size_t> co_flush();
  co::task<> co_shutdown(std::error_code& ec);
  co::task<> co_shutdown();

  co::task<std::size_t> co_write(std::string_view text, std::error_code& ec) {
    return co_write(std::as_bytes(std::span{text}), ec);
  }

  co::task<std::size_t> co_write(std::string_view text) {
    return co_write(std::as_bytes(std::span{text}));
  }

  // ---- the connection ----

  /// Closes the socket, without a flush. Operations that are under way end with errc::closed, and
  /// so does every later one. Never waits.
  void close() noexcept;

  bool is_open() const noexcept;

  /// The address of the peer. Errors: errc::closed; else errno of getpeername(2); none if it was
  /// given to the constructor.
  endpoint remote_endpoint(std::error_code& ec) const;
  /// The same; throws std::system_error where the overload above sets `ec`.
  endpoint remote_endpoint() const;

  /// The socket below, for its options and its local address. What is in the buffers it does not
  /// know of.
  net::socket& socket() noexcept;

private:
  struct state;

  std::unique_ptr<state> state_;
};

/// What stream::lines() returns: an input range of std::string.
class stream::line_range {
public:
  class iterator {
  public:
    using iterator_concept = std::input_iterator_tag;
    using value_type = std::string;
    using difference_type = std::ptrdiff_t;

    /// The line, until the next step.
    std::string& operator*() const noexcept { return range_->line_; }

    /// Reads the next line.
    iterator& operator++() {
      range_->step();
      return *this;
    }

    void operator++(int) { range_->step(); }

    friend bool operator==(const iterator& place, std::default_sentinel_t) noexcept {
      return place.at_end();
    }

  private:
    friend class line_range;

    explicit iterator(line_range& range) noexcept : range_(&range) {}

    bool at_end() const noexcept { return range_->at_end_; }

    line_range* range_;
  };

  /// Reads the first line; to be called once.
  iterator begin() {
    step();
    return iterator{*this};
  }

  std::default_sentinel_t end() const noexcept { return {}; }

private:
  friend class stream;

  line_range(stream& from, std::error_code* ec) noexcept : from_(&from), ec_(ec) {}

  void step();

  stream* from_;
  std::error_code* ec_;  // null where errors are thrown
  std::string line_;
  bool at_end_ = false;
};

}  // namespace weft::net
