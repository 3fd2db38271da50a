// Bytes in a buffer that the worker lends: what a read returns that binds no memory while it waits.
//
// The destructor gives the buffer back. A lease may be kept across waits; the worker then takes
// another buffer for the next read.
// Threads: fibers of any worker, one at a time.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <utility>

namespace weft::net {

namespace detail {
class co_borrow;
struct io_buffer;
}  // namespace detail

class borrowed_bytes {
public:
  /// The most that one read can borrow, in bytes.
  static constexpr std::size_t capacity = std::size_t{16} * 1024;

  borrowed_bytes() noexcept = default;

  borrowed_bytes(borrowed_bytes&& other) noexcept
      : buffer_(std::exchange(other.buffer_, nullptr)), bytes_(std::exchange(other.bytes_, {})) {}

  borrowed_bytes& operator=(borrowed_bytes&& other) noexcept {
    if (this != &other) {
      give_back();
      buffer_ = std::exchange(other.buffer_, nullptr);
      bytes_ = std::exchange(other.bytes_, {});
    }
    return *this;
  }

  ~borrowed_bytes() { give_back(); }

  /// Whether anything was read.
  explicit operator bool() const noexcept { return !bytes_.empty(); }

  bool empty() const noexcept { return bytes_.empty(); }

  std::size_t size() const noexcept { return bytes_.size(); }

  /// The bytes, valid as long as the lease.
  std::span<const std::byte> bytes() const noexcept { return bytes_; }

  // Implicit, so that what was read can be written as it is.
  // NOLINTNEXTLINE(google-explicit-constructor)
  operator std::span<const std::byte>() const noexcept { return bytes_; }

  /// The same as text.
  std::string_view text() const noexcept {
    return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()};
  }

private:
  friend class socket;
  friend class detail::co_borrow;

  borrowed_bytes(detail::io_buffer* buffer, std::span<const std::byte> bytes) noexcept
      : buffer_(buffer), bytes_(bytes) {}

  void give_back() noexcept;

  detail::io_buffer* buffer_ = nullptr;
  std::span<const std::byte> bytes_;
};

}  // namespace weft::net
