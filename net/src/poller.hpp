// The driver of a worker that waits for descriptors: epoll.
//
// A descriptor is registered once, edge-triggered, for both directions; after that a wait makes no
// system call but the epoll_wait that all of them share.
// Threads: the worker only, but for wake().
#pragma once

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <memory>
#include <sys/epoll.h>
#include <system_error>

#include <weft/fiber/detail/atomic.hpp>
#include <weft/fiber/detail/worker.hpp>
#include <weft/fiber/driver.hpp>

#include "buffer_pool.hpp"
#include "fd_table.hpp"

namespace weft::net::detail {

io_buffer* lend_buffer_slowly(std::error_code& ec);

// Which failure of accept(2) was reported last: of a worker or of a plain thread.
class accept_reports {
public:
  static accept_reports& of_this_thread() noexcept;

  // Whether this one has not been reported for 10 s; it then counts as reported.
  bool is_due(int error) noexcept;

private:
  int last_ = 0;
  std::chrono::steady_clock::time_point at_;
};

class poller final : public driver {
public:
  // The poller of the running worker, installed if it has none. Null and `ec` when no descriptors
  // or memory are to be had (errno of epoll_create1(2) and eventfd(2)).
  static poller* of_this_worker(std::error_code& ec) {
    poller* const present = if_installed();
    return present != nullptr ? present : install(ec);
  }

  // The same, but null if none is installed.
  static poller* if_installed() noexcept {
    return static_cast<poller*>(weft::detail::installed_driver(&kind));
  }

  poller(const poller&) = delete;
  poller& operator=(const poller&) = delete;
  ~poller() override;

  void poll(clock::time_point deadline) override;
  void wake() noexcept override;

  bool has_waiters() const noexcept override { return waiting_ != 0; }

  // Counts a task of this worker that waits for a descriptor.
  void begin_to_wait() noexcept { ++waiting_; }

  void end_wait() noexcept { --waiting_; }

  // The same for a block of code.
  class waiting {
  public:
    explicit waiting(poller& worker) noexcept : worker_(worker) { worker_.begin_to_wait(); }

    waiting(const waiting&) = delete;
    waiting& operator=(const waiting&) = delete;

    ~waiting() { worker_.end_wait(); }

  private:
    poller& worker_;
  };

  void after_fork() override;

  // Has events of `fd` reported to `record` from now on, if no worker of this runtime does so yet.
  // Ends the process if a task of another runtime waits for them: it would wait forever.
  // False and `ec` (errno of epoll_ctl(2)) on failure. With the record locked.
  bool watch(int fd, fd_record& record, std::error_code& ec) noexcept {
    return watches(record) || start_watching(fd, record, ec);
  }

  // Whether events are reported to `record` already. With the record locked.
  bool watches(const fd_record& record) const noexcept {
    const std::uint64_t watching = record.poller_id.load(std::memory_order_relaxed);
    return watching == id_ || is_sibling(watching);
  }

  // The opposite, for a descriptor that lives on without us. False, and nothing done, if the record
  // is of another generation. Any thread.
  static bool unwatch(int fd, fd_record& record, std::uint32_t generation) noexcept;

  buffer_pool& buffers() noexcept { return *buffers_; }

  // {runtime : 54, worker : 10}. Never 0, and never the same for two: runtimes are not made so
  // often that their numbers fill the 54 bits within a hundred years.
  static constexpr std::uint64_t id_of(weft::detail::worker_position where) noexcept {
    return where.runtime << worker_bits | where.index;
  }

  accept_reports& reports_of_accept() noexcept { return reports_of_accept_; }

private:
  // By its address, the kind of driver that a poller is.
  static constexpr char kind = 0;
  static constexpr unsigned worker_bits = 10;

  poller();
  static poller* install(std::error_code& ec);
  static std::unique_ptr<poller> create(std::error_code& ec);
  int wait_for_events(clock::time_point deadline) noexcept;
  bool watch_wake_event() noexcept;

  bool is_sibling(std::uint64_t other_id) const noexcept {
    return other_id >> worker_bits == id_ >> worker_bits;
  }

  bool start_watching(int fd, fd_record& record, std::error_code& ec) noexcept;
  void enter_register();
  void leave_register() noexcept;
  void warm_events(std::size_t index, std::size_t count) const noexcept;

  int epoll_ = -1;
  int wake_event_ = -1;
  std::uint64_t id_;
  std::size_t waiting_ = 0;
  // Together they decide who writes to wake_event_. wake() stores `woken_` and reads `sleeping_`,
  // wait_for_events() stores `sleeping_` and reads `woken_`, both sequentially consistent: at least
  // one sees the other.
  weft::detail::atomic<bool> sleeping_{false};
  weft::detail::atomic<bool> woken_{false};
  accept_reports reports_of_accept_;
  buffer_pool* buffers_;
  std::array<epoll_event, 512> events_;
};

// Around a fork: the list of pollers is not in the middle of a change. In the child it is empty.
void hold_pollers() noexcept;
void release_pollers() noexcept;
void forget_pollers_of_parent() noexcept;

// One of the buffers of this worker, or of this thread if it runs no fibers. Null and `ec`: ENOMEM,
// and errno of epoll_create1(2) and eventfd(2).
inline io_buffer* lend_buffer(std::error_code& ec) {
  poller* const worker = poller::if_installed();
  io_buffer* const lent = worker != nullptr ? worker->buffers().lend() : lend_buffer_slowly(ec);
  if (lent == nullptr && !ec) ec.assign(ENOMEM, std::system_category());
  return lent;
}

}  // namespace weft::net::detail
