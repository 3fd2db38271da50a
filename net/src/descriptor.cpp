#include <fcntl.h>
#include <unistd.h>

#include <weft/net/detail/descriptor.hpp>

#include "fd_table.hpp"
#include "poller.hpp"

namespace weft::net::detail {

descriptor& descriptor::operator=(descriptor&& other) noexcept {
  if (this != &other) {
    close();
    fd_ = std::exchange(other.fd_, -1);
    record_ = std::exchange(other.record_, nullptr);
  }
  return *this;
}

descriptor descriptor::adopt(int fd, bool tcp_stream, std::error_code& ec) noexcept {
  fd_record* const record = open_record(fd, tcp_stream, ec);
  if (record == nullptr) return {};
  return {fd, record};
}

void descriptor::close() noexcept {
  if (!is_open()) return;
  retire_record(*std::exchange(record_, nullptr));
  // Never repeated after EINTR: on Linux the number is free by then (man 2 close).
  ::close(std::exchange(fd_, -1));
  if (poller* const worker = poller::if_installed()) {
    worker->short_of_descriptors().wake_all(weft::detail::wake_reason::ready);
  }
}

int descriptor::release() noexcept {
  if (!is_open()) return -1;
  if (poller* const worker = poller::if_installed()) worker->unwatch(fd_, *record_);
  retire_record(*std::exchange(record_, nullptr));
  const int released = std::exchange(fd_, -1);
  ::fcntl(released, F_SETFL, ::fcntl(released, F_GETFL) & ~O_NONBLOCK);
  return released;
}

}  // namespace weft::net::detail
