#include "target.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <netinet/tcp.h>
#include <stdexcept>
#include <sys/un.h>
#include <unistd.h>

#include <fmt/format.h>

namespace weft::load {
namespace {

[[noreturn]] void refuse(std::string_view text, std::string_view why) {
  throw std::invalid_argument(
      fmt::format("'{}' {}; accepted are 127.0.0.1:PORT, [::1]:PORT, localhost:PORT with a PORT "
                  "from 1 to 65535, and unix:/path",
                  text, why));
}

std::uint16_t parse_port(std::string_view text, std::string_view digits) {
  unsigned port = 0;
  const char* end = digits.data() + digits.size();
  const auto parsed = std::from_chars(digits.data(), end, port);
  if (parsed.ec != std::errc{} || parsed.ptr != end || port > 65535 || digits.front() == '0') {
    refuse(text, "has no valid port");
  }
  return static_cast<std::uint16_t>(port);
}

// Copies a socket address into the storage; memcpy, for that is what the rules of aliasing allow.
template <typename Address>
socklen_t store(const Address& address, sockaddr_storage& storage) {
  static_assert(sizeof(Address) <= sizeof(sockaddr_storage));
  std::memcpy(&storage, &address, sizeof address);
  return sizeof address;
}

socklen_t parse_unix(std::string_view text, std::string_view path, sockaddr_storage& storage) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty()) refuse(text, "names no path");
  if (path.size() >= sizeof address.sun_path) refuse(text, "has a path longer than 107 bytes");
  std::memcpy(address.sun_path, path.data(), path.size());
  return store(address, storage);
}

socklen_t parse_internet(std::string_view text, sockaddr_storage& storage) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) refuse(text, "is no address with a port");
  std::string host(text.substr(0, colon));
  const std::uint16_t port = parse_port(text, text.substr(colon + 1));
  if (host == "localhost") host = "127.0.0.1";
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  if (::inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) return store(v4, storage);
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']' &&
      ::inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &v6.sin6_addr) == 1) {
    return store(v6, storage);
  }
  refuse(text, "has no numeric host");
}

}  // namespace

target target::parse(std::string_view text) {
  target made;
  made.text_ = text;
  if (text.substr(0, 5) == "unix:") {
    made.size_ = parse_unix(text, text.substr(5), made.address_);
  } else {
    made.size_ = parse_internet(text, made.address_);
  }
  return made;
}

bool target::is_loopback_v4() const noexcept {
  if (address_.ss_family != AF_INET) return false;
  sockaddr_in v4;
  std::memcpy(&v4, &address_, sizeof v4);
  return (ntohl(v4.sin_addr.s_addr) >> 24) == 127;
}

int target::make_socket(const std::optional<in_addr>& source) const noexcept {
  const int made = ::socket(address_.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (made < 0 || is_unix()) return made;
  const int on = 1;
  bool good = ::setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0;
  if (source) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr = *source;
    // The port is then chosen by connect, which only needs the pair of addresses to be unique.
    good = good && ::setsockopt(made, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) == 0 &&
           ::bind(made, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  if (good) return made;
  const int reason = errno;
  ::close(made);
  errno = reason;
  return -1;
}

int target::connect(int socket) const noexcept {
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address_), size_) == 0) return 0;
  return errno == EINPROGRESS || errno == EINTR ? 0 : errno;
}

}  // namespace weft::load
