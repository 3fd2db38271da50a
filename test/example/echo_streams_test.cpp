// The standard streams of an echo server, when they are closed, full, or read by nobody.
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

#include "line_servers.hpp"

namespace weft::test {
namespace {

class EchoStreams : public LineServer {
protected:
  // Returns the command that starts the server on a free address, with `redirection`.
  std::vector<std::string> in_shell(const std::string& redirection) const {
    std::string text = "exec";
    const std::string port = std::to_string(free_port);
    for (const std::string& word :
         command(on_unix_socket() ? std::vector<std::string>{"--path", path}
                                  : std::vector<std::string>{"--port", port})) {
      text += " " + word;
    }
    return {"/bin/sh", "-c", text + " " + redirection};
  }

  unique_fd connect() const {
    return on_unix_socket() ? connect_unix(path) : connect_tcp(free_port);
  }

  // Connects to a server that cannot say when it listens.
  unique_fd connect_in_time() const {
    const auto end = std::chrono::steady_clock::now() + process::watchdog;
    for (;;) {
      try {
        return connect();
      } catch (const std::system_error&) {
        if (std::chrono::steady_clock::now() > end) throw;
      }
    }
  }

  static std::uint16_t find_free_port() {
    unique_fd holder;
    return refused_port(holder);
  }

  const std::string path = folder.path("socket");
  const std::uint16_t free_port = find_free_port();
};

INSTANTIATE_TEST_SUITE_P(Servers, EchoStreams, testing::ValuesIn(echo_server_names()), test_name);

TEST_P(EchoStreams, that_are_closed_leave_connections_alone) {
  for (const std::string closed : {"<&- >&- 2>&-", ">&-"}) {
    SCOPED_TRACE(closed);
    process server{in_shell(closed)};
    std::vector<unique_fd> peers;

    peers.push_back(connect_in_time());
    for (int i = 0; i < 3; ++i) peers.push_back(connect());
    for (const unique_fd& peer : peers) exchange(peer, "still there?\n");
    for (const unique_fd& peer : peers) ::shutdown(peer.get(), SHUT_WR);

    for (const unique_fd& peer : peers) EXPECT_EQ(recv_until_end(peer), "");
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait(), 0);
  }
}

TEST_P(EchoStreams, that_take_no_address_end_the_server) {
  const process_result run = process::run(in_shell(">/dev/full"));

  expect_refused(run, {GetParam() + ": cannot write to stdout: No space left on device"}, 1);
  EXPECT_NE(::access(path.c_str(), F_OK), 0) << "the socket file was left";
}

TEST_P(EchoStreams, that_nobody_reads_any_more_do_not_end_the_server) {
  const std::string fifo = folder.path("fifo");
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  process server{in_shell(">" + fifo)};
  unique_fd reader{::open(fifo.c_str(), O_RDONLY | O_CLOEXEC)};
  char first = 0;
  ASSERT_EQ(::read(reader.get(), &first, 1), 1);  // it listens

  reader.reset();

  for (int i = 0; i < 3; ++i) exchange(connect(), "still there?\n");
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait(), 0);
}

}  // namespace
}  // namespace weft::test
