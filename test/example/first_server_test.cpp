// The server of README.md, which has its port written into it: 25000.
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <system_error>

#include <gtest/gtest.h>

#include "programs.hpp"
#include "support/process.hpp"
#include "support/tcp.hpp"

namespace weft::test {
namespace {

constexpr std::uint16_t fixed_port = 25000;
const std::string program = program_path("first-server");

bool is_taken(std::uint16_t port) {
  const unique_fd probe{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  const int on = 1;
  ::setsockopt(probe.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return ::bind(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
         ::listen(probe.get(), 1) != 0;
}

// One test at a time may have the port, in whichever build; a lock on a file of all of them sees to
// that, and ends with the process.
class FirstServer : public testing::Test {
protected:
  void SetUp() override {
    const std::string path = testing::TempDir() + "weft_port_25000.lock";
    lock_ = unique_fd{::open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0644)};
    if (!lock_) throw std::system_error(errno, std::system_category(), path);
    while (::flock(lock_.get(), LOCK_EX) != 0) {
      if (errno != EINTR) throw std::system_error(errno, std::system_category(), path);
    }
    if (is_taken(fixed_port)) GTEST_SKIP() << "somebody else uses port 25000";
  }

private:
  unique_fd lock_;
};

TEST_F(FirstServer, sends_back_what_it_gets) {
  process server{{program}};
  EXPECT_EQ(server.wait_for_port(), fixed_port);
  const unique_fd one = connect_tcp(fixed_port);
  const unique_fd another = connect_tcp(fixed_port);

  send_all(one, "hello");
  send_all(another, "world");

  EXPECT_EQ(recv_all(another, 5), "world");
  EXPECT_EQ(recv_all(one, 5), "hello");
}

TEST_F(FirstServer, names_the_address_that_is_in_use) {
  process server{{program}};
  server.wait_for_port();

  const process_result second = process::run({program});

  expect_refused(second, {"first-server: ", "127.0.0.1:25000", "in use"}, 1);
}

TEST_F(FirstServer, ends_well_on_ctrl_c_and_on_terminate) {
  for (const int signal : {SIGINT, SIGTERM}) {
    process server{{program}};
    server.wait_for_port();

    server.signal(signal);

    EXPECT_EQ(server.wait(), 0);
    EXPECT_EQ(server.output(stream::err), "");
  }
}

TEST_F(FirstServer, refuses_any_argument) {
  for (const char* argument : {"--port", "80", "--help"}) {
    expect_refused(process::run({program, argument}), {"first-server", "argument"});
  }
}

}  // namespace
}  // namespace weft::test
