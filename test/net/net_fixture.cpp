#include "net_fixture.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace weft::test {
namespace {

void require(bool good, const char* what) {
  if (!good) throw std::system_error(errno, std::system_category(), what);
}

void set(int fd, int level, int name, int value) {
  require(::setsockopt(fd, level, name, &value, sizeof value) == 0, "setsockopt");
}

struct two_fds {
  unique_fd left;
  unique_fd right;
};

two_fds connected_tcp() {
  const unique_fd listener = listen_tcp();
  two_fds made{connect_tcp(local_port(listener)), accept_one(listener)};
  for (const unique_fd* each : {&made.left, &made.right}) {
    set(each->get(), IPPROTO_TCP, TCP_NODELAY, 1);
  }
  return made;
}

two_fds connected_unix() {
  std::array<int, 2> fds{};
  require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) == 0, "socketpair");
  constexpr timeval watchdog{60, 0};
  for (const int fd : fds) {
    require(::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &watchdog, sizeof watchdog) == 0,
            "setsockopt");
  }
  return {unique_fd{fds[0]}, unique_fd{fds[1]}};
}

plain_pair half_ours(two_fds fds) {
  return {net::socket::adopt(fds.left.release()), std::move(fds.right)};
}

socket_pair all_ours(two_fds fds) {
  return {net::socket::adopt(fds.left.release()), net::socket::adopt(fds.right.release())};
}

}  // namespace

plain_pair tcp_pair() { return half_ours(connected_tcp()); }

plain_pair unix_pair() { return half_ours(connected_unix()); }

socket_pair weft_tcp_pair() { return all_ours(connected_tcp()); }

socket_pair weft_unix_pair() { return all_ours(connected_unix()); }

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text});
}

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string pattern(std::size_t size, unsigned seed) {
  std::string made(size, '\0');
  for (std::size_t i = 0; i < size; ++i) made[i] = static_cast<char>((i + seed) % 251 + seed % 5);
  return made;
}

std::string read_some_text(net::socket& from, std::size_t at_most, std::error_code& ec) {
  std::vector<std::byte> buffer(at_most);
  return text_of(std::span{buffer}.first(from.read_some(buffer, ec)));
}

std::string read_some_text(net::socket& from, std::size_t at_most) {
  std::vector<std::byte> buffer(at_most);
  return text_of(std::span{buffer}.first(from.read_some(buffer)));
}

std::string read_text(net::socket& from, std::size_t size, std::error_code& ec) {
  std::vector<std::byte> buffer(size);
  return text_of(std::span{buffer}.first(from.read(buffer, ec)));
}

std::string read_text(net::socket& from, std::size_t size) {
  std::vector<std::byte> buffer(size);
  return text_of(std::span{buffer}.first(from.read(buffer)));
}

std::string read_to_end(net::socket& from, std::error_code& ec, std::size_t step) {
  std::vector<std::byte> buffer(step);
  std::string all;
  do {
    all += text_of(std::span{buffer}.first(from.read_some(buffer, ec)));
  } while (!ec);
  return all;
}

fiber<std::error_code> spawn_reader(net::socket& from) {
  return spawn([&from] {
    std::error_code ec;
    read_some_text(from, 100, ec);
    return ec;
  });
}

void reset_by(unique_fd& peer) {
  const linger at_once{1, 0};
  require(::setsockopt(peer.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0, "linger");
  peer.reset();
}

std::string arrived_at(const unique_fd& peer) {
  std::string all;
  std::array<char, 4096> buffer;
  for (;;) {
    const ssize_t count = ::recv(peer.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count <= 0) return all;
    all.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

void send_urgent(const unique_fd& peer, char byte) {
  require(::send(peer.get(), &byte, 1, MSG_OOB | MSG_NOSIGNAL) == 1, "send");
}

std::size_t fill(int fd) {
  const std::string block = pattern(std::size_t{64} * 1024);
  std::size_t sent = 0;
  for (;;) {
    const ssize_t count = ::send(fd, block.data(), block.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0) {
      require(errno == EAGAIN, "send");
      return sent;
    }
    sent += static_cast<std::size_t>(count);
  }
}

void expect_one_line(const std::vector<std::string>& lines,
                     std::initializer_list<std::string_view> words) {
  ASSERT_EQ(lines.size(), 1u) << ::testing::PrintToString(lines);
  for (const auto word : words) {
    EXPECT_NE(lines[0].find(word), std::string::npos) << lines[0] << " lacks " << word;
  }
  EXPECT_EQ(lines[0].find('\n'), std::string::npos);
}

no_more_descriptors::no_more_descriptors() {
  rlimit limit{};
  require(::getrlimit(RLIMIT_NOFILE, &limit) == 0, "getrlimit");
  former_limit_ = limit.rlim_cur;
  // The limit is on the number of a new descriptor, so all numbers below it must be taken.
  const int lowest_free = ::dup(STDIN_FILENO);
  require(lowest_free >= 0, "dup");
  ::close(lowest_free);
  limit.rlim_cur = static_cast<rlim_t>(lowest_free);
  require(::setrlimit(RLIMIT_NOFILE, &limit) == 0, "setrlimit");
}

void no_more_descriptors::end() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = former_limit_;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace weft::test
