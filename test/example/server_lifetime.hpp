// What the suites of how a server starts and ends share, whatever its address.
#pragma once

#include <csignal>
#include <system_error>
#include <vector>

#include <gtest/gtest.h>

#include "support/process.hpp"
#include "support/tcp.hpp"

namespace weft::test {

/// Returns true once nobody listens any more where `connect` goes, false when something else fails
/// it.
template <class Connect>
bool wait_until_refused(Connect&& connect) {
  for (int attempt = 0; attempt < 100'000; ++attempt) {
    try {
      connect();
    } catch (const std::system_error& error) {
      if (error.code() == std::errc::connection_refused) return true;
      if (error.code() == std::errc::no_such_file_or_directory) return true;
      // A connection that was waiting to be accepted when the listener closed.
      if (error.code() != std::errc::connection_reset) return false;
    }
  }
  return false;
}

/// Has `server` serve thirty connections that `connect` makes, all at once, and ends it.
template <class Connect>
void expect_thirty_served(process& server, Connect&& connect) {
  std::vector<unique_fd> peers;

  for (int i = 0; i < 30; ++i) peers.push_back(connect());
  for (const unique_fd& peer : peers) send_all(peer, "hello\n");
  for (const unique_fd& peer : peers) EXPECT_EQ(recv_all(peer, 6), "hello\n");
  peers.clear();

  for (int i = 0; i < 30; ++i) server.wait_for_line("Connection closed");
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait(), 0);
}

}  // namespace weft::test
