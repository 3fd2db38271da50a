#include "buffer_pool.hpp"

#include <new>
#include <utility>

namespace weft::net::detail {

buffer_pool::~buffer_pool() {
  while (free_ != nullptr) delete std::exchange(free_, free_->next_free);
}

io_buffer* buffer_pool::lend() noexcept {
  io_buffer* buffer = free_;
  if (buffer != nullptr) {
    free_ = buffer->next_free;
    --free_count_;
  } else {
    buffer = new (std::nothrow) io_buffer;  // not zeroed: 16 KiB a buffer
    if (buffer == nullptr) return nullptr;
    buffer->home = this;
  }
  ++lent_;
  return buffer;
}

void buffer_pool::take_back(io_buffer& buffer) noexcept {
  --lent_;
  if (free_count_ < keep) {
    buffer.next_free = std::exchange(free_, &buffer);
    ++free_count_;
  } else {
    delete &buffer;
  }
  if (abandoned_ && lent_ == 0) delete this;
}

void buffer_pool::abandon() noexcept {
  abandoned_ = true;
  if (lent_ == 0) delete this;
}

}  // namespace weft::net::detail
