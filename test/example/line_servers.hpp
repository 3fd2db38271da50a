// What the suites of the servers that echo lines share: one of them running, on TCP or on a UNIX
// socket, whichever it has.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "echo_servers.hpp"
#include "support/scratch_folder.hpp"

namespace weft::test {

/// A server named by the parameter, and an address of its kind that is free.
class LineServer : public EchoServer {
protected:
  /// A program that listens, where connections to it go.
  struct running {
    process program;
    std::string path;  // empty: `port` counts
    std::uint16_t port = 0;

    running(std::vector<std::string> command, std::string socket_path)
        : program{std::move(command)}, path{std::move(socket_path)} {
      if (path.empty()) {
        port = program.wait_for_port();
      } else {
        program.wait_for_line("listening on unix:" + path);
      }
    }

    unique_fd connect() const { return path.empty() ? connect_tcp(port) : connect_unix(path); }

    /// How the server names a peer.
    std::string name_of(const unique_fd& peer) const {
      return path.empty() ? "127.0.0.1:" + std::to_string(local_port(peer)) : "unix:";
    }

    /// Fails the test unless a new connection gets its line back.
    void expect_service() const { exchange(connect(), "still there?\n"); }
  };

  static bool on_unix_socket() { return GetParam().find("unix") != std::string::npos; }

  /// Starts the server on a free address.
  running start(std::vector<std::string> arguments = {}) const {
    const std::string path = on_unix_socket() ? folder.path("socket") : "";
    arguments.insert(arguments.end(),
                     {on_unix_socket() ? "--path" : "--port", on_unix_socket() ? path : "0"});
    return {command(std::move(arguments)), path};
  }

  const scratch_folder folder;
};

}  // namespace weft::test
