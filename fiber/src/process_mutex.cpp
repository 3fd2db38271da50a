#include "process_mutex.hpp"

namespace weft::detail {
namespace {

// Changed only while programs and libraries start, which is in one thread at a time.
constinit process_mutex* first_process_mutex = nullptr;

}  // namespace

bool process_mutex::list() noexcept {
  next_listed_ = first_process_mutex;
  first_process_mutex = this;
  return true;
}

void process_mutex::hold_all_for_fork() {
  for (process_mutex* each = first_process_mutex; each != nullptr; each = each->next_listed_) {
    each->lock();
  }
}

void process_mutex::release_all_after_fork() noexcept {
  for (process_mutex* each = first_process_mutex; each != nullptr; each = each->next_listed_) {
    each->unlock();
  }
}

}  // namespace weft::detail
