// Who waits for a descriptor number to become free, in the whole process.
//
// Threads: any.
#pragma once

#include <cstdint>

#include <weft/fiber/co/task.hpp>
#include <weft/fiber/detail/atomic.hpp>
#include <weft/fiber/detail/co_wait.hpp>
#include <weft/fiber/detail/scope.hpp>
#include <weft/fiber/detail/wait.hpp>
#include <weft/fiber/detail/wait_note.hpp>

namespace weft::net::detail {

class descriptor_shortage {
public:
  // Waits until a descriptor has been closed, but for one that is closed while the wait begins.
  weft::detail::wake_reason wait(weft::detail::deadline_clock::time_point deadline) {
    const sufferer here{waiting_};
    weft::detail::note_wait(weft::detail::wait_kind::descriptors);
    return weft::detail::wait(queue_, deadline);
  }

  // The same for a coroutine.
  co::task<weft::detail::wake_reason> co_wait(weft::detail::deadline_clock::time_point deadline) {
    const sufferer here{waiting_};
    std::error_code ec;
    if (weft::detail::refuse_coroutine(ec)) {
      co_return weft::detail::reason_of(weft::detail::current_verdict());
    }
    weft::detail::note_wait(weft::detail::wait_kind::descriptors);
    queue_.lock.lock();
    co_return co_await weft::detail::co_wait<weft::detail::spin_lock>{
        queue_.list, queue_.lock, deadline, weft::detail::cancellation::honoured};
  }

  // After every close.
  void ease() noexcept {
    if (waiting_.load(std::memory_order_relaxed) != 0) {
      queue_.wake_all(weft::detail::wake_reason::ready);
    }
  }

  // In the child of a fork.
  void forget_waits() noexcept {
    waiting_.store(0, std::memory_order_relaxed);
    queue_.lock.forget_holder();
    queue_.list = {};
  }

private:
  class sufferer {
  public:
    explicit sufferer(weft::detail::atomic<std::uint32_t>& count) noexcept : count_(count) {
      count_.fetch_add(1, std::memory_order_relaxed);
    }

    sufferer(const sufferer&) = delete;
    sufferer& operator=(const sufferer&) = delete;

    ~sufferer() { count_.fetch_sub(1, std::memory_order_relaxed); }

  private:
    weft::detail::atomic<std::uint32_t>& count_;
  };

  // How many are in wait(). Relaxed: it orders nothing, and a close that comes too early for it
  // comes too early for the queue as well.
  weft::detail::atomic<std::uint32_t> waiting_{0};
  weft::detail::wait_queue queue_;
};

inline constinit descriptor_shortage shortage_of_descriptors;

}  // namespace weft::net::detail
