// What scenarios with sockets send, and who sends it back.
//
// Threads: any, each connection one at a time.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include <weft/co.hpp>
#include <weft/net.hpp>

#include "support/scratch_folder.hpp"

namespace weft::test {

/// Bytes of one message: more than one read of a borrowed buffer, and no power of two.
inline constexpr std::size_t message_size = 30'011;
inline constexpr std::size_t small_size = 300;

/// The beginning of the message.
std::span<const std::byte> small_message();
/// Whether that is the beginning of the message.
bool is_message(std::span<const std::byte> got) noexcept;

/// Sends back what comes, to the end of the stream.
void echo(net::socket& connection);
co::task<> co_echo(net::socket& connection);

/// Sends the message and reads it back. Returns whether it is the same; throws errc::eof when it
/// ends before.
bool comes_back(net::socket& connection);
/// The same for coroutines.
co::task<bool> co_comes_back(net::socket& connection);

/// Where a scenario listens, made without being disturbed: a free port, or a folder for socket
/// files.
class place {
public:
  explicit place(bool is_unix);
  place(const place&) = delete;
  place& operator=(const place&) = delete;
  ~place();

  net::endpoint wanted(const char* name) const;

  /// Whether nobody has left a socket file.
  bool is_empty() const;

private:
  std::optional<scratch_folder> folder_;
};

}  // namespace weft::test
