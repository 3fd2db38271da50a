// What the suites of the TCP echo servers share: the list of the servers, one of them running, and
// text in which no byte can be lost unseen. Where servers that echo whole lines are among them,
// what is sent ends with a newline.
#pragma once

#include <cstddef>
#include <sstream>
#include <string>
#include <sys/socket.h>
#include <vector>

#include <gtest/gtest.h>

#include "programs.hpp"
#include "support/process.hpp"
#include "support/tcp.hpp"

namespace weft::test {

/// Returns the names of the servers, from the list in CMakeLists.txt.
inline std::vector<std::string> echo_server_names() {
  std::vector<std::string> names;
  std::istringstream list{WEFT_ECHO_SERVERS};
  for (std::string name; std::getline(list, name, ',');) names.push_back(name);
  return names;
}

/// Turns a server's name into one that a test may have.
inline std::string test_name(const testing::TestParamInfo<std::string>& server) {
  std::string name = server.param;
  for (char& c : name) {
    if (c == '-') c = '_';
  }
  return name;
}

/// Returns `size` bytes that tell at every place, within a period of 251, where they belong.
inline std::string counted_text(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i % 251);
  return text;
}

/// Closes so that the other end gets a reset instead of an end of file.
inline void reset(unique_fd& peer) {
  const linger at_once{1, 0};
  ::setsockopt(peer.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  peer.reset();
}

/// Sends a text, and fails the test unless it comes back.
inline void exchange(const unique_fd& peer, const std::string& text) {
  send_all(peer, text);
  ASSERT_EQ(recv_all(peer, text.size()), text);
}

/// A server named by the parameter, and connections to it.
class EchoServer : public testing::TestWithParam<std::string> {
protected:
  std::vector<std::string> command(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), program_path(GetParam()));
    return arguments;
  }
};

/// The same, already listening on a free port.
class RunningEchoServer : public EchoServer {
protected:
  unique_fd connect() const { return connect_tcp(port); }

  /// Fails the test unless a new connection gets its bytes back.
  void expect_service() const { exchange(connect(), "still there?\n"); }

  process server{command({"--port", "0"})};
  const std::uint16_t port = server.wait_for_port();
};

}  // namespace weft::test
