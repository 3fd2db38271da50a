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
  lock_.lock();
  --lent_;
  if (free_count_ == keep) {
    delete_locked(buffer);
    return;
  }
  buffer.next_free = std::exchange(free_, &buffer);
  ++free_count_;
  lock_.unlock();
}

// One that is not kept; of a pool that was abandoned none is.
void buffer_pool::delete_locked(io_buffer& buffer) noexcept {
  const bool was_last = abandoned_ && lent_ == 0;
  lock_.unlock();
  delete &buffer;
  if (was_last) delete this;
}

void buffer_pool::abandon() noexcept {
  bool was_last = false;
  {
    const std::lock_guard hold{lock_};
    abandoned_ = true;
    free_count_ = keep;
    was_last = lent_ == 0;
  }
  if (was_last) delete this;
}

}  // namespace weft::net::detail
