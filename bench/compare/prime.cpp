#include "prime.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <system_error>
#include <unistd.h>

namespace weft::compare {
namespace {

constexpr timeval patience{5, 0};

// Closes with its owner.
struct descriptor {
  explicit descriptor(int number) : fd{number} {}

  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;

  ~descriptor() {
    if (fd >= 0) ::close(fd);
  }

  const int fd;
};

[[noreturn]] void fail(const std::string& address, int code = errno) {
  throw std::system_error(code, std::system_category(), "no exchange with " + address);
}

sockaddr_in parse(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  const char* const end = address.data() + address.size();
  std::uint16_t port = 0;
  if (colon == std::string::npos ||
      std::from_chars(address.data() + colon + 1, end, port).ec != std::errc{}) {
    fail(address, EINVAL);
  }
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_port = htons(port);
  result.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return result;
}

}  // namespace

void exchange_once(const std::string& address) {
  constexpr std::array<char, 64> message{'f', 'i', 'r', 's', 't'};
  std::array<char, message.size()> reply{};
  const sockaddr_in name = parse(address);
  const descriptor peer{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (peer.fd < 0 ||
      ::setsockopt(peer.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0 ||
      ::connect(peer.fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0 ||
      ::send(peer.fd, message.data(), message.size(), MSG_NOSIGNAL) < 0) {
    fail(address);
  }
  const ssize_t size = ::recv(peer.fd, reply.data(), reply.size(), MSG_WAITALL);
  if (size < 0) fail(address);
  if (reply != message) fail(address, EPROTO);
}

}  // namespace weft::compare
