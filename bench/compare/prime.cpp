#include "prime.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <limits>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace weft::compare {
namespace {

constexpr std::array<char, 64> message{'f', 'i', 'r', 's', 't'};

sockaddr_in parse(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  const char* const end = address.data() + address.size();
  std::uint16_t port = 0;
  if (colon == std::string::npos ||
      std::from_chars(address.data() + colon + 1, end, port).ec != std::errc{}) {
    throw std::system_error(EINVAL, std::system_category(), address);
  }
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_port = htons(port);
  result.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return result;
}

// The client's end, never blocking but in wait_for().
class exchange {
public:
  exchange(const std::string& address, steady::time_point deadline, interrupt& signals)
      : address_{address}, deadline_{deadline}, signals_{signals},
        fd_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)} {
    if (fd_ < 0) fail(errno);
  }

  exchange(const exchange&) = delete;
  exchange& operator=(const exchange&) = delete;

  ~exchange() { ::close(fd_); }

  void run() {
    connect();
    send();
    receive();
  }

private:
  [[noreturn]] void fail(int code) const {
    throw std::system_error(code, std::system_category(), "no exchange with " + address_);
  }

  void connect() {
    const sockaddr_in name = parse(address_);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0) return;
    if (errno != EINPROGRESS) fail(errno);
    wait_for(POLLOUT);
    int reason = 0;
    socklen_t size = sizeof reason;
    if (::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &reason, &size) != 0) fail(errno);
    if (reason != 0) fail(reason);
  }

  // The buffer of a new connection takes the message whole.
  void send() const {
    const ssize_t size = ::send(fd_, message.data(), message.size(), MSG_NOSIGNAL);
    if (size < 0) fail(errno);
    if (static_cast<std::size_t>(size) < message.size()) fail(ENOBUFS);
  }

  void receive() {
    std::array<char, message.size()> reply{};
    for (std::size_t have = 0; have < reply.size();) {
      wait_for(POLLIN);
      const ssize_t size = ::recv(fd_, reply.data() + have, reply.size() - have, 0);
      if (size < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (size < 0) fail(errno);
      if (size == 0) fail(ECONNRESET);
      have += static_cast<std::size_t>(size);
    }
    if (reply != message) fail(EPROTO);
  }

  void wait_for(short events) {
    for (;;) {
      std::array<pollfd, 2> wanted{{{fd_, events, 0}, {signals_.fd(), POLLIN, 0}}};
      const int ready = ::poll(wanted.data(), wanted.size(), milliseconds_left());
      if (ready < 0 && errno != EINTR) fail(errno);
      signals_.check();
      if (ready > 0 && wanted[0].revents != 0) return;
      if (steady::now() >= deadline_) fail(ETIMEDOUT);
    }
  }

  // Rounded up, so that the last wait does not spin.
  int milliseconds_left() const {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - steady::now());
    return static_cast<int>(
        std::clamp<std::int64_t>(left.count(), 0, std::numeric_limits<int>::max()));
  }

  const std::string& address_;
  const steady::time_point deadline_;
  interrupt& signals_;
  const int fd_;
};

}  // namespace

void exchange_once(const std::string& address, steady::time_point deadline, interrupt& signals) {
  exchange{address, deadline, signals}.run();
}

}  // namespace weft::compare
