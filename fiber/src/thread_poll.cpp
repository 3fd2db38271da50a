// How a plain thread waits for a descriptor: in poll(2), with an eventfd of its own beside it for
// whoever else ends the wait.
#include <array>
#include <cerrno>
#include <poll.h>
#include <sys/eventfd.h>
#include <type_traits>
#include <unistd.h>
#include <utility>

#include <weft/fiber/detail/worker.hpp>

#include "futex.hpp"
#include "thread_task.hpp"

namespace weft::detail {
namespace {

// What is left until `limit`, for ppoll(2); null for no limit.
const timespec* time_left(deadline_clock::time_point limit, timespec& space) noexcept {
  if (limit == no_deadline) return nullptr;
  const auto left = std::max(limit - deadline_clock::now(), deadline_clock::duration::zero());
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
  space.tv_sec = seconds.count();
  space.tv_nsec = std::chrono::nanoseconds{left - seconds}.count();
  return &space;
}

}  // namespace

static_assert(std::is_trivially_destructible_v<thread_task>);

// At the end of the thread; a destructor that waits afterwards makes another.
void thread_task::close_wake_event(void* task) noexcept {
  ::close(std::exchange(static_cast<thread_task*>(task)->wake_event_, -1));
}

bool thread_task::prepare_to_poll(std::error_code& ec) noexcept {
  if (wake_event_ >= 0) return true;
  wake_event_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_event_ < 0) {
    ec.assign(errno, std::system_category());
    return false;
  }
  at_thread_exit(&close_wake_event, this);
  return true;
}

wake_reason thread_task::wait_for_descriptor(wait_list& list, spin_lock& held, int fd, short events,
                                             cancellation mode) {
  polling_ = true;
  begin_wait(wake_reason::armed);
  wait_.node.owner = &wait_;
  list.push_back(wait_.node);
  held.unlock();
  const wake_reason reason = block_in_poll(fd, events, mode);
  held.lock();
  if (wait_.node.linked()) list.remove(wait_.node);
  held.unlock();
  return reason;
}

// As finish_wait(). Who resumes the thread writes to the eventfd first and then says so: it is read
// here if, and only if, somebody did, so that it never ends a later wait.
wake_reason thread_task::block_in_poll(int fd, short events, cancellation mode) noexcept {
  const auto limit = mode == cancellation::honoured ? become_cancellable() : no_deadline;
  bool resumed = false;
  for (;;) {
    std::array<pollfd, 2> watched{{{fd, events, 0}, {wake_event_, POLLIN, 0}}};
    timespec space{};
    const int count = ::ppoll(watched.data(), watched.size(), time_left(limit, space), nullptr);
    if (count < 0) continue;  // EINTR, or no memory for a moment
    resumed = watched[1].revents != 0;
    if (resumed) break;
    const bool ended = count != 0 ? wait_.claim(wake_reason::ready) : give_up(mode);
    resumed = !ended;
    break;
  }
  if (resumed) await_resumption();
  polling_ = false;
  leave_wait(mode);
  return wait_.reason();
}

// Somebody else has ended the wait, and is about to say so.
void thread_task::await_resumption() noexcept {
  // Pairs with the store in resume().
  while (resumed_.load(std::memory_order_acquire) == 0) futex_wait(futex_word(), 0, no_deadline);
  std::uint64_t count = 0;
  // It has been written to: never EAGAIN.
  [[maybe_unused]] const auto size = ::read(wake_event_, &count, sizeof count);
}

void thread_task::interrupt_poll() noexcept {
  const std::uint64_t one = 1;
  // The counter is 0, so that this cannot fail.
  [[maybe_unused]] const auto size = ::write(wake_event_, &one, sizeof one);
}

bool prepare_thread_to_poll(std::error_code& ec) noexcept {
  return thread_task::of_this_thread().prepare_to_poll(ec);
}

wake_reason wait_for_descriptor(wait_list& list, spin_lock& held, int fd, short events,
                                cancellation mode) {
  return thread_task::of_this_thread().wait_for_descriptor(list, held, fd, events, mode);
}

}  // namespace weft::detail
