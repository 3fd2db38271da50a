#include "poller.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <new>
#include <string>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utility>

#include <weft/fiber/detail/worker.hpp>

namespace weft::net::detail {
namespace {

// By its address, the kind of driver that a poller is.
constexpr char poller_kind = 0;

// Relaxed: only the values need to differ. 0 is no poller.
weft::detail::atomic<std::uint32_t> last_poller_id{0};

constexpr std::uint64_t wake_tag = ~std::uint64_t{0};

std::uint64_t tag_of(int fd, const fd_record& record) noexcept {
  return (std::uint64_t{record.generation.load(std::memory_order_relaxed)} << 32) |
         static_cast<std::uint32_t>(fd);
}

int fd_of(std::uint64_t tag) noexcept { return static_cast<int>(tag & 0xffffffffu); }

std::error_code last_error() noexcept { return {errno, std::system_category()}; }

// Rounded up, so that a wait never ends before its deadline.
int milliseconds_until(driver::clock::time_point deadline) noexcept {
  if (deadline == driver::clock::time_point::max()) return -1;
  if (deadline == driver::clock::time_point::min()) return 0;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - driver::clock::now());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, INT_MAX));
}

}  // namespace

poller* poller::if_installed() noexcept {
  return static_cast<poller*>(weft::detail::installed_driver(&poller_kind));
}

poller* poller::of_this_worker(std::error_code& ec) {
  if (poller* const present = if_installed()) return present;
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) {
    ec = last_error();
    return nullptr;
  }
  const int wake_event = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_event < 0) {
    ec = last_error();
    ::close(epoll);
    return nullptr;
  }
  std::unique_ptr<poller> fresh{new poller{epoll, wake_event}};
  if (!fresh->watch_wake_event()) {
    ec = last_error();
    return nullptr;
  }
  poller* const result = fresh.get();
  weft::detail::install_driver(std::move(fresh), &poller_kind);
  return result;
}

poller::poller(int epoll, int wake_event)
    : epoll_(epoll), wake_event_(wake_event),
      id_(last_poller_id.fetch_add(1, std::memory_order_relaxed) + 1),
      buffers_(buffer_pool::create()) {}

poller::~poller() {
  buffers_->abandon();
  ::close(wake_event_);
  ::close(epoll_);
}

bool poller::watch_wake_event() noexcept {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = wake_tag;
  return ::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_event_, &event) == 0;
}

bool poller::watch(int fd, fd_record& record, std::error_code& ec) noexcept {
  if (record.poller_id == id_) return true;
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET;
  event.data.u64 = tag_of(fd, record);
  // Registered already: closed while another descriptor, or a message under way, kept the socket
  // alive, and come back under the same number.
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0 &&
      (errno != EEXIST || ::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event) != 0)) {
    ec = last_error();
    return false;
  }
  record.poller_id = id_;
  return true;
}

void poller::unwatch(int fd, fd_record& record) noexcept {
  if (record.poller_id != id_) return;
  // Cannot fail for a descriptor that is registered and open.
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
  record.poller_id = 0;
}

weft::detail::wake_reason poller::wait(wait_queue& queue) {
  ++waiting_;
  const auto reason = weft::detail::wait(queue);
  --waiting_;
  return reason;
}

int poller::wait_for_events(clock::time_point deadline) noexcept {
  int timeout = milliseconds_until(deadline);
  if (timeout != 0) sleeping_.store(true, std::memory_order_seq_cst);
  if (woken_.load(std::memory_order_seq_cst)) {
    woken_.exchange(false, std::memory_order_acquire);
    timeout = 0;
  }
  const int count = ::epoll_wait(epoll_, events_.data(), static_cast<int>(events_.size()), timeout);
  sleeping_.store(false, std::memory_order_relaxed);
  if (count < 0 && errno != EINTR) {
    weft::detail::misuse("epoll_wait failed, error " + std::to_string(errno) +
                         ": has the program closed a descriptor that is not its own?");
  }
  return std::max(count, 0);
}

// Has the processor fetch what the events at `index` and a little before it will need: each leads
// to a record, and that to a waiter, and with thousands of connections none of it is in the cache.
void poller::warm_events(std::size_t index, std::size_t count) const noexcept {
  const auto record_at = [this](std::size_t at) {
    const std::uint64_t tag = events_[at].data.u64;
    return tag == wake_tag ? nullptr : find_record(fd_of(tag));
  };
  if (index < count) __builtin_prefetch(record_at(index));
  if (index < 2 || index - 2 >= count) return;
  fd_record* const sooner = record_at(index - 2);
  // Of an event that came late the record may be in use on another thread.
  const auto generation = static_cast<std::uint32_t>(events_[index - 2].data.u64 >> 32);
  if (sooner == nullptr || sooner->generation.load(std::memory_order_relaxed) != generation) return;
  const weft::detail::waiter* const first = sooner->at(direction::read).readiness.first();
  if (first == nullptr) return;
  __builtin_prefetch(first);
  __builtin_prefetch(reinterpret_cast<const std::byte*>(first) + 64);
}

void poller::poll(clock::time_point deadline) {
  const auto count = static_cast<std::size_t>(wait_for_events(deadline));
  for (std::size_t i = 0; i < count; ++i) {
    warm_events(i + 4, count);
    const epoll_event event = events_[i];
    if (event.data.u64 == wake_tag) {
      // Edge-triggered: the counter needs no reading, the next write is another edge. An exchange,
      // for it must see what was stored before the wake() whose mark it takes away.
      woken_.exchange(false, std::memory_order_acquire);
      continue;
    }
    fd_record& record = *find_record(fd_of(event.data.u64));
    const std::uint32_t generation = record.generation.load(std::memory_order_relaxed);
    if (generation != event.data.u64 >> 32 || record.poller_id != id_) continue;
    report_events(record, event.events);
  }
}

bool poller::may_report_accept_trouble(int error) noexcept {
  const auto now = clock::now();
  if (error == reported_trouble_ && now - trouble_reported_at_ < std::chrono::seconds{10}) {
    return false;
  }
  reported_trouble_ = error;
  trouble_reported_at_ = now;
  return true;
}

void poller::wake() noexcept {
  const int saved_errno = errno;  // may run in a signal handler
  woken_.store(true, std::memory_order_seq_cst);
  if (sleeping_.load(std::memory_order_seq_cst)) {
    const std::uint64_t one = 1;
    // Fails only with EAGAIN, when the counter is full: then poll() is being woken already.
    [[maybe_unused]] const auto written = ::write(wake_event_, &one, sizeof one);
  }
  errno = saved_errno;
}

void poller::after_fork() {
  ::close(wake_event_);
  ::close(epoll_);
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  wake_event_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  id_ = last_poller_id.fetch_add(1, std::memory_order_relaxed) + 1;
  if (epoll_ < 0 || wake_event_ < 0 || !watch_wake_event()) {
    weft::detail::misuse("no poller in the child of a fork, error " + std::to_string(errno));
  }
}

}  // namespace weft::net::detail
