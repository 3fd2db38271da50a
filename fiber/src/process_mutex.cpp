#include "process_mutex.hpp"

namespace weft::detail {
namespace {

constinit thread_local const char this_thread_mark = 0;

// Changed only while programs and libraries start, which is in one thread at a time.
constinit process_mutex* first_process_mutex = nullptr;

}  // namespace

bool process_mutex::list() noexcept {
  next_listed_ = first_process_mutex;
  first_process_mutex = this;
  return true;
}

void process_mutex::lock() {
  mutex_.lock();
  holder_.store(&this_thread_mark, std::memory_order_relaxed);
}

void process_mutex::unlock() noexcept {
  holder_.store(nullptr, std::memory_order_relaxed);
  mutex_.unlock();
}

bool process_mutex::is_mine() const noexcept {
  return holder_.load(std::memory_order_relaxed) == &this_thread_mark;
}

void process_mutex::hold_all_for_fork() noexcept {
  for (process_mutex* each = first_process_mutex; each != nullptr; each = each->next_listed_) {
    const bool is_held = each->is_mine();  // the fork is called under it
    if (!is_held) each->lock();
    each->was_mine_ = is_held;
  }
}

void process_mutex::release_all_after_fork() noexcept {
  for (process_mutex* each = first_process_mutex; each != nullptr; each = each->next_listed_) {
    if (!each->was_mine_) each->unlock();
  }
}

}  // namespace weft::detail
