#include "event_queue.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <unistd.h>

namespace weft::load {
namespace {

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::system_category(), what);
}

}  // namespace

event_queue::event_queue() : fd_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (fd_ < 0) fail("epoll_create1");
}

event_queue::~event_queue() { ::close(fd_); }

void event_queue::add(int fd, unsigned events, void* tag) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = tag;
  if (::epoll_ctl(fd_, EPOLL_CTL_ADD, fd, &event) != 0) fail("epoll_ctl");
}

void event_queue::add_connection(int fd, void* tag) {
  add(fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET, tag);
}

void event_queue::add_control(int fd) { add(fd, EPOLLIN, nullptr); }

std::span<const epoll_event> event_queue::wait(std::optional<time_point> deadline) {
  timespec limit{};
  if (deadline) {
    const auto left = std::max(*deadline - clock::now(), clock::duration::zero());
    const auto seconds = std::chrono::floor<std::chrono::seconds>(left);
    limit.tv_sec = seconds.count();
    limit.tv_nsec = std::chrono::nanoseconds(left - seconds).count();
  }
  const int n = ::epoll_pwait2(fd_, events_.data(), static_cast<int>(events_.size()),
                               deadline ? &limit : nullptr, nullptr);
  if (n < 0 && errno != EINTR) fail("epoll_pwait2");
  return {events_.data(), static_cast<std::size_t>(std::max(n, 0))};
}

}  // namespace weft::load
