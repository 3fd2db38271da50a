#include <fcntl.h>
#include <sys/single_threaded.h>
#include <unistd.h>

#include <weft/net/detail/descriptor.hpp>

#include "descriptor_shortage.hpp"
#include "fd_table.hpp"
#include "poller.hpp"

namespace weft::net::detail {

descriptor::descriptor(descriptor&& other) noexcept
    : fd_(other.fd_), generation_(other.generation_), record_(other.take_record()) {}

descriptor& descriptor::operator=(descriptor&& other) noexcept {
  if (this != &other) {
    close();
    fd_ = other.fd_;
    generation_ = other.generation_;
    record_.store(other.take_record(), std::memory_order_relaxed);
  }
  return *this;
}

descriptor descriptor::adopt(int fd, bool tcp_stream, std::error_code& ec) noexcept {
  descriptor result;
  fd_record* const record = open_record(fd, tcp_stream, ec);
  if (record == nullptr) return result;
  result.fd_ = fd;
  result.generation_ = record->generation.load(std::memory_order_relaxed);
  result.record_.store(record, std::memory_order_relaxed);
  return result;
}

bool descriptor::is_open() const noexcept {
  const fd_record* const here = record();
  return here != nullptr && here->is_generation(generation_);
}

// Null but for the one that closes it. Relaxed: the lock of the record orders the rest.
fd_record* descriptor::take_record() noexcept {
  fd_record* const record = record_.load(std::memory_order_relaxed);
  if (record == nullptr) return nullptr;
  if (__libc_single_threaded == 0) return record_.exchange(nullptr, std::memory_order_relaxed);
  record_.store(nullptr, std::memory_order_relaxed);
  return record;
}

void descriptor::close() noexcept {
  if (fd_record* const record = take_record()) {
    if (retire_record(*record, generation_) == retired::unused) close_number(fd_);
  }
}

int descriptor::release() noexcept {
  fd_record* const record = take_record();
  if (record == nullptr || !poller::unwatch(fd_, *record, generation_)) return -1;
  if (retire_record(*record, generation_, record_state::released) == retired::not_at_all) return -1;
  ::fcntl(fd_, F_SETFL, ::fcntl(fd_, F_GETFL) & ~O_NONBLOCK);
  return fd_;
}

void close_number(int fd) noexcept {
  // Never repeated after EINTR: on Linux the number is free by then (man 2 close).
  ::close(fd);
  shortage_of_descriptors.ease();
}

}  // namespace weft::net::detail
