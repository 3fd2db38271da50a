#include "echoes.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <system_error>

#include "faults.hpp"

namespace weft::test {

using co::task;
using net::endpoint;

namespace {

std::byte byte_at(std::size_t position) noexcept {
  return static_cast<std::byte>(position * 7 + position / 251);
}

const std::array<std::byte, message_size>& message() {
  static const auto made = [] {
    std::array<std::byte, message_size> bytes{};
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = byte_at(i);
    return bytes;
  }();
  return made;
}

}  // namespace

std::span<const std::byte> small_message() { return std::span{message()}.first(small_size); }

bool is_message(std::span<const std::byte> got) noexcept {
  return std::ranges::equal(got, std::span{message()}.first(got.size()));
}

// ---- echo ---------------------------------------------------------------------------------------

void echo(net::socket& connection) {
  while (const auto data = connection.read_some_borrowed()) connection.write(data);
}

task<> co_echo(net::socket& connection) {
  while (const auto data = co_await connection.co_read_some_borrowed()) {
    co_await connection.co_write(data);
  }
}

namespace {

// Who reads the answer is told of a failure by the end of the connection.
void send_message(net::socket& connection) {
  try {
    connection.write(message());
    connection.shutdown(net::socket::side::write);
  } catch (...) {
    connection.close();
    throw;
  }
}

task<> co_send_message(net::socket& connection) {
  try {
    co_await connection.co_write(message());
    connection.shutdown(net::socket::side::write);
  } catch (...) {
    connection.close();
    throw;
  }
}

// Reads the message to its end, and sees whether it is the same.
class comparison {
public:
  std::span<std::byte> buffer() noexcept { return buffer_; }

  /// Of so many bytes that were read into the buffer. Returns whether to go on.
  bool compare(std::size_t count, const std::error_code& ec) {
    if (ec && ec != errc::eof) throw std::system_error(ec, "read");
    for (std::size_t i = 0; i < count; ++i) same_ = same_ && buffer_[i] == byte_at(position_ + i);
    position_ += count;
    return same_ && !ec;
  }

  bool is_whole() const {
    if (same_ && position_ < message_size) throw std::system_error(errc::eof, "read");
    return same_ && position_ == message_size;
  }

private:
  std::array<std::byte, 4096> buffer_{};
  std::size_t position_ = 0;
  bool same_ = true;
};

}  // namespace

// A fiber sends, or the buffers of both directions fill.
bool comes_back(net::socket& connection) {
  task_group group;
  group.spawn([&] { send_message(connection); });
  comparison with_message;
  std::error_code ec;
  while (with_message.compare(connection.read_some(with_message.buffer(), ec), ec)) {
  }
  group.join();
  return with_message.is_whole();
}

namespace {

task<bool> co_compare(net::socket& connection) {
  comparison with_message;
  std::error_code ec;
  bool goes_on = true;
  while (goes_on) {
    const std::size_t count = co_await connection.co_read_some(with_message.buffer(), ec);
    goes_on = with_message.compare(count, ec);
  }
  co_return with_message.is_whole();
}

}  // namespace

task<bool> co_comes_back(net::socket& connection) {
  const auto [none, same] =
      co_await co::when_all(co_send_message(connection), co_compare(connection));
  static_cast<void>(none);
  co_return same;
}

// ---- places -------------------------------------------------------------------------------------

place::place(bool is_unix) {
  const undisturbed while_making;
  if (is_unix) folder_.emplace();
}

place::~place() {
  const undisturbed while_removing;
  folder_.reset();
}

endpoint place::wanted(const char* name) const {
  if (!folder_) return endpoint::loopback_v4(0);
  const undisturbed while_naming;
  return endpoint::unix_domain(folder_->path(name));
}

bool place::is_empty() const {
  const undisturbed while_looking;
  return !folder_ || std::filesystem::is_empty(folder_->path());
}

}  // namespace weft::test
