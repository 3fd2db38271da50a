// The echo of lines with a thread for each connection, whatever the address that the server listens
// on: the buffering that a stream of weft's has, by hand.
//
// Plain POSIX and std::thread. Threads: for main() alone.
#pragma once

#include <cstddef>
#include <cstdio>
#include <string>
#include <sys/socket.h>

#include "../support/thread_server.hpp"

namespace example {

/// The lines of one connection, and what is written back to it.
class line_connection {
public:
  static constexpr std::size_t max_line = std::size_t{64} * 1024;
  enum class outcome { line, too_long, end };

  explicit line_connection(int fd) : fd_{fd} {}

  /// Reads the next line, with the newline at its end; the last one may have none.
  outcome read_line(std::string& line) {
    for (std::size_t searched = 0;;) {
      const std::size_t newline = in_.find('\n', begin_ + searched);
      const bool found = newline != std::string::npos;
      const std::size_t size = (found ? newline + 1 : in_.size()) - begin_;
      if (size > max_line) return flush() ? outcome::too_long : outcome::end;
      searched = size;
      if (!found && receive()) continue;
      if (size == 0 || failed_) return outcome::end;
      line.assign(in_, begin_, size);
      begin_ += size;
      return outcome::line;
    }
  }

  /// Keeps `line` to be sent before the next wait. Returns false when the peer has gone.
  bool write(const std::string& line) {
    out_ += line;
    return out_.size() < high_water || flush();
  }

private:
  static constexpr std::size_t high_water = std::size_t{16} * 1024;
  static constexpr std::size_t step = 8192;

  // False at the end of what the peer sends, or with `failed_` set.
  bool receive() {
    if (!flush()) return false;
    in_.erase(0, begin_);
    begin_ = 0;
    const std::size_t size = in_.size();
    in_.resize(size + step);
    const ssize_t received = ::recv(fd_, in_.data() + size, step, 0);
    in_.resize(size + static_cast<std::size_t>(received > 0 ? received : 0));
    failed_ = received < 0;
    return received > 0;
  }

  bool flush() {
    for (std::size_t sent = 0; sent < out_.size() && !failed_;) {
      const ssize_t now = ::send(fd_, out_.data() + sent, out_.size() - sent, MSG_NOSIGNAL);
      failed_ = now < 0;
      if (now > 0) sent += static_cast<std::size_t>(now);
    }
    out_.clear();
    return !failed_;
  }

  const int fd_;
  bool failed_ = false;
  std::string in_;
  std::size_t begin_ = 0;  // of what is left in `in_`
  std::string out_;
};

/// Sends every line of a peer back to it, the last one without a newline too. One that is longer
/// than max_line ends the connection, with a line on stderr.
inline void echo_lines(const char* program, int fd) {
  line_connection peer{fd};
  std::string line;
  auto outcome = peer.read_line(line);
  while (outcome == line_connection::outcome::line && peer.write(line)) {
    outcome = peer.read_line(line);
  }
  if (outcome != line_connection::outcome::too_long) return;
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  ::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size);
  std::fprintf(stderr, "%s: the connection from %s is closed: a line of more than %zu bytes\n",
               program, address_text(address).c_str(), line_connection::max_line);
}

}  // namespace example
