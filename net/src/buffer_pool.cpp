#include "buffer_pool.hpp"

#include <mutex>
#include <new>
#include <utility>

namespace weft::net::detail {

buffer_pool::~buffer_pool() {
  while (free_ != nullptr) delete std::exchange(free_, free_->next_free);
}

io_buffer* buffer_pool::lend() noexcept {
  {
    const std::lock_guard hold{lock_};
    ++lent_;
    if (free_ != nullptr) {
      --free_count_;
      return std::exchange(free_, free_->next_free);
    }
  }
  auto* const buffer = new (std::nothrow) io_buffer;  // not zeroed: 16 KiB a buffer
  if (buffer != nullptr) {
    buffer->home = this;
  } else {
    const std::lock_guard hold{lock_};
    --lent_;
  }
  return buffer;
}

void buffer_pool::take_back(io_buffer& buffer) noexcept {
  bool kept = false;
  bool was_last = false;
  {
    const std::lock_guard hold{lock_};
    --lent_;
    kept = free_count_ < keep;
    if (kept) {
      buffer.next_free = std::exchange(free_, &buffer);
      ++free_count_;
    }
    was_last = abandoned_ && lent_ == 0;
  }
  if (!kept) delete &buffer;
  if (was_last) delete this;
}

void buffer_pool::abandon() noexcept {
  bool was_last = false;
  {
    const std::lock_guard hold{lock_};
    abandoned_ = true;
    was_last = lent_ == 0;
  }
  if (was_last) delete this;
}

}  // namespace weft::net::detail
