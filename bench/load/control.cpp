#include "control.hpp"

#include <cerrno>
#include <sys/socket.h>
#include <unistd.h>

namespace weft::load {
namespace {

// There is nobody left to report to. The connections close with the process.
[[noreturn]] void parent_is_gone() { ::_exit(1); }

// Returns nothing when there is no message yet and `flags` says not to wait for one.
std::optional<parent_message> receive(int fd, int flags) {
  parent_message message;
  for (;;) {
    const ssize_t n = ::recv(fd, &message, sizeof message, flags);
    if (n == static_cast<ssize_t>(sizeof message)) return message;
    if (n < 0 && errno == EAGAIN) return std::nullopt;
    if (n >= 0 || errno != EINTR) parent_is_gone();
  }
}

}  // namespace

void parent_link::say(client_says what, std::string_view text) {
  client_message message;
  message.what = what;
  text.copy(message.text.data(), message.text.size() - 1);
  while (::send(fd_, &message, sizeof message, MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) parent_is_gone();
  }
}

std::optional<time_point> parent_link::wait_for_start() {
  const auto message = receive(fd_, 0);
  if (!message || message->what == parent_says::stop) return std::nullopt;
  return message->when;
}

bool parent_link::stop_requested() {
  const auto message = receive(fd_, MSG_DONTWAIT);
  return message && message->what == parent_says::stop;
}

}  // namespace weft::load
