#include "support/tcp.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <limits>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>

namespace weft::test {
namespace {

constexpr timeval watchdog{60, 0};

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::system_category(), what);
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

unique_fd make_socket(int family) {
  unique_fd made(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!made) fail("socket");
  return made;
}

unique_fd bound_tcp() {
  unique_fd made = make_socket(AF_INET);
  const sockaddr_in address = loopback(0);
  if (::bind(made.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    fail("bind");
  }
  return made;
}

sockaddr_un unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    fail("unix_address");
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

void limit_waits(const unique_fd& socket) {
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &watchdog, sizeof watchdog) != 0) {
    fail("setsockopt");
  }
}

}  // namespace

void unique_fd::reset() noexcept {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

unique_fd listen_tcp(int backlog) {
  unique_fd made = bound_tcp();
  if (::listen(made.get(), backlog) != 0) fail("listen");
  return made;
}

unique_fd listen_unix(const std::string& path, int backlog) {
  const sockaddr_un address = unix_address(path);
  unique_fd made = make_socket(AF_UNIX);
  if (::bind(made.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    fail("bind");
  }
  if (::listen(made.get(), backlog) != 0) fail("listen");
  return made;
}

std::uint16_t local_port(const unique_fd& socket) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    fail("getsockname");
  }
  return ntohs(address.sin_port);
}

std::uint16_t refused_port(unique_fd& holder) {
  holder = bound_tcp();  // bound and never listening: connects are refused
  return local_port(holder);
}

unique_fd connect_tcp(std::uint16_t port) {
  unique_fd made = make_socket(AF_INET);
  const sockaddr_in address = loopback(port);
  if (::connect(made.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    fail("connect");
  }
  limit_waits(made);
  return made;
}

unique_fd connect_unix(const std::string& path) {
  unique_fd made = make_socket(AF_UNIX);
  const sockaddr_un address = unix_address(path);
  if (::connect(made.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    fail("connect");
  }
  limit_waits(made);
  return made;
}

unique_fd accept_one(const unique_fd& listener) {
  for (;;) {
    unique_fd accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (accepted) {
      limit_waits(accepted);
      return accepted;
    }
    if (errno == EINVAL) return accepted;  // shutdown() on the listener
    if (errno != EINTR && errno != ECONNABORTED) fail("accept4");
  }
}

void send_all(const unique_fd& socket, std::string_view data) {
  while (!data.empty()) {
    const ssize_t n = ::send(socket.get(), data.data(), data.size(), MSG_NOSIGNAL);
    if (n > 0) {
      data.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno != EINTR) {
      fail("send");
    }
  }
}

std::string recv_all(const unique_fd& socket, std::size_t size) {
  std::string received;
  char buffer[65536];
  while (received.size() < size) {
    const std::size_t wanted = std::min(sizeof buffer, size - received.size());
    const ssize_t n = ::recv(socket.get(), buffer, wanted, 0);
    if (n == 0) break;
    if (n > 0) {
      received.append(buffer, static_cast<std::size_t>(n));
    } else if (errno != EINTR) {
      fail("recv");
    }
  }
  return received;
}

std::string recv_until_end(const unique_fd& socket) {
  return recv_all(socket, std::numeric_limits<std::size_t>::max());
}

}  // namespace weft::test
