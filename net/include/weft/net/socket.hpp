// A stream socket whose calls look blocking and park only the calling fiber.
//
// A wait also ends with errc::timed_out when a weft::timeout around it expires.
// Threads: fibers of one runtime, on whichever of its workers. Several may use a socket at once:
// readers are served in the order in which they came, and so are writers, each whole read or write
// before the next. Closing it, or destroying it, ends their waits with errc::closed.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>

#include <weft/fiber/co/task.hpp>
#include <weft/net/basic_socket.hpp>
#include <weft/net/borrowed_bytes.hpp>
#include <weft/net/detail/co_transfer.hpp>
#include <weft/net/endpoint.hpp>

namespace weft::net {

class socket : public basic_socket {
public:
  /// A closed socket.
  socket() noexcept = default;
  /// Takes ownership of a connected stream descriptor and makes it non-blocking.
  ///
  /// Errors: std::errc::bad_file_descriptor, std::errc::not_a_socket,
  /// std::errc::wrong_protocol_type
  ///         for one that is no stream, std::errc::not_enough_memory;
  ///         the descriptor is then still the caller's.
  static socket adopt(int fd, std::error_code& ec);
  static socket adopt(int fd);

  /// Connects to `remote`.
  ///
  /// Waits:  for the connection to be established or refused.
  /// Ends:   when the fiber is cancelled.
  /// Errors: errc::cancelled; else errno of socket(2) and connect(2), for example
  ///         std::errc::connection_refused.
  static socket connect(const endpoint& remote, std::error_code& ec);
  /// The same; throws std::system_error where the overload above sets `ec`, and names `remote`.
  static socket connect(const endpoint& remote);

  // ---- reading ----

  /// Reads at least one byte into `buffer`, waiting for the first one.
  ///
  /// Returns how many bytes were read, at most `buffer.size()`; 0 with `ec` set on an error, and 0
  /// with no error only for an empty `buffer`, which returns at once.
  ///
  /// Waits:  for the descriptor to be readable; never once data is already there.
  /// Ends:   when the fiber is cancelled or the socket is closed.
  /// Errors: errc::eof, errc::cancelled, errc::closed; else errno of recv(2).
  std::size_t read_some(std::span<std::byte> buffer, std::error_code& ec);
  /// The same; throws std::system_error where the overload above sets `ec`.
  std::size_t read_some(std::span<std::byte> buffer);

  /// Fills `buffer`. Returns how many bytes were read: fewer than `buffer.size()` only with `ec`
  /// set. Waits, ends and errors as read_some(); after an error the bytes read so far are in
  /// `buffer`.
  std::size_t read(std::span<std::byte> buffer, std::error_code& ec);
  /// The same; throws std::system_error where the overload above sets `ec`.
  std::size_t read(std::span<std::byte> buffer);

  /// Reads as read_some() does, at most `at_most` bytes (16 KiB at most; 0 returns at once), into a
  /// buffer that the worker lends; no memory is bound while it waits. Empty with `ec` set on an
  /// error.
  ///
  /// Errors: also std::errc::not_enough_memory.
  borrowed_bytes read_some_borrowed(std::size_t at_most, std::error_code& ec);
  /// The same; throws std::system_error where the overload above sets `ec`, but for errc::eof: the
  /// end of the stream is an empty result, so that `while (auto data = s.read_some_borrowed())`
  /// reads to the end.
  borrowed_bytes read_some_borrowed(std::size_t at_most = borrowed_bytes::capacity);

  // ---- writing ----

  /// Writes all of `data`. Returns how many bytes were written: fewer than `data.size()` only with
  /// `ec` set; these bytes went out all the same. Never raises SIGPIPE.
  ///
  /// Waits:  for room in the send buffer.
  /// Ends:   when the fiber is cancelled or the socket is closed.
  /// Errors: errc::cancelled, errc::closed; else errno of send(2), for example
  ///         std::errc::broken_pipe and std::errc::connection_reset.
  std::size_t write(std::span<const std::byte> data, std::error_code& ec);
  /// The same; throws std::system_error where the overload above sets `ec`.
  std::size_t write(std::span<const std::byte> data);

  /// The same for text.
  std::size_t write(std::string_view text, std::error_code& ec) {
    return write(std::as_bytes(std::span{text}), ec);
  }

  std::size_t write(std::string_view text) { return write(std::as_bytes(std::span{text})); }

  // ---- for coroutines: as those above without the prefix ----

  static co::task<socket> co_connect(endpoint remote, std::error_code& ec);
  static co::task<socket> co_connect(endpoint remote);

  detail::co_transfer co_read_some(std::span<std::byte> buffer, std::error_code& ec) noexcept;
  detail::co_transfer co_read_some(std::span<std::byte> buffer) noexcept;
  detail::co_transfer co_read(std::span<std::byte> buffer, std::error_code& ec) noexcept;
  detail::co_transfer co_read(std::span<std::byte> buffer) noexcept;
  detail::co_borrow co_read_some_borrowed(std::size_t at_most, std::error_code& ec) noexcept;
  detail::co_borrow co_read_some_borrowed(std::size_t at_most = borrowed_bytes::capacity) noexcept;
  detail::co_transfer co_write(std::span<const std::byte> data, std::error_code& ec) noexcept;
  detail::co_transfer co_write(std::span<const std::byte> data) noexcept;

  detail::co_transfer co_write(std::string_view text, std::error_code& ec) noexcept {
    return co_write(std::as_bytes(std::span{text}), ec);
  }

  detail::co_transfer co_write(std::string_view text) noexcept {
    return co_write(std::as_bytes(std::span{text}));
  }

  // ---- the connection ----

  enum class side { read, write, both };
  /// Ends the stream in one direction or both: the peer, or an own reader, sees the end. Never
  /// waits.
  ///
  /// Errors: errc::closed; else errno of shutdown(2), for example std::errc::not_connected.
  void shutdown(side which, std::error_code& ec) noexcept;
  void shutdown(side which = side::write);

  /// Closes the socket. Waits that are under way end with errc::closed. Never waits.
  void close() noexcept { descriptor_.close(); }

  explicit operator bool() const noexcept { return is_open(); }

  /// Gives the descriptor away, in blocking mode; -1 if the socket is closed. Waits that are under
  /// way end with errc::closed.
  int release() noexcept { return descriptor_.release(); }

  using basic_socket::remote_endpoint;

  // ---- options: errc::closed, or errno of setsockopt(2) ----

  /// Sends small writes at once instead of gathering them (TCP_NODELAY).
  void set_no_delay(bool on, std::error_code& ec) noexcept;
  void set_no_delay(bool on);
  /// Probes an idle connection (SO_KEEPALIVE).
  void set_keep_alive(bool on, std::error_code& ec) noexcept;
  void set_keep_alive(bool on);
  /// Bytes that the kernel buffers; it doubles the value and caps it (man 7 socket).
  void set_receive_buffer_size(std::size_t bytes, std::error_code& ec) noexcept;
  void set_receive_buffer_size(std::size_t bytes);
  void set_send_buffer_size(std::size_t bytes, std::error_code& ec) noexcept;
  void set_send_buffer_size(std::size_t bytes);
  /// What close() does with unsent data: nothing means the system's default, which sends it in the
  /// background; zero seconds drops it and resets the connection; more has close() block the thread
  /// for so long at most (SO_LINGER). What is beyond the range of the option is taken as its end.
  /// Errors: also std::errc::invalid_argument for less than zero.
  void set_linger(std::optional<std::chrono::seconds> linger, std::error_code& ec) noexcept;
  void set_linger(std::optional<std::chrono::seconds> linger);

private:
  friend class listener;

  explicit socket(detail::descriptor connected) noexcept : basic_socket(std::move(connected)) {}
};

}  // namespace weft::net
