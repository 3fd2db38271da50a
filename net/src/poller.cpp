#include "poller.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <mutex>
#include <new>
#include <string>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <weft/fiber/detail/planted.hpp>
#include <weft/fiber/detail/wait.hpp>
#include <weft/fiber/detail/worker.hpp>

namespace weft::net::detail {
namespace {

struct registered_poller {
  std::uint64_t id;
  int epoll;
  int wake_event;
};

// All pollers, for whoever has a descriptor that one of them has registered.
std::mutex registry_lock;
std::vector<registered_poller> registry;

constexpr std::uint64_t wake_tag = ~std::uint64_t{0};

// Of a batch: fewer connections than that, and what they need, are in the cache.
constexpr std::size_t few_events = 128;

std::uint64_t tag_of(int fd, const fd_record& record) noexcept {
  return (std::uint64_t{record.generation.load(std::memory_order_relaxed)} << 32) |
         static_cast<std::uint32_t>(fd);
}

std::uint32_t generation_of(std::uint64_t tag) noexcept {
  return static_cast<std::uint32_t>(tag >> 32);
}

int fd_of(std::uint64_t tag) noexcept { return static_cast<int>(tag & 0xffffffffu); }

std::error_code last_error() noexcept { return {errno, std::system_category()}; }

// By a task of another runtime. A plain thread is of none: it asks poll(2) itself.
bool is_awaited_elsewhere(const fd_direction& side) noexcept {
  const weft::detail::wait_node* const waiting = side.readiness.first_armed();
  if (waiting == nullptr) return false;
  const std::uint64_t whose = weft::detail::worker_of(*waiting->owner).runtime;
  return whose != 0 && whose != weft::detail::this_worker().runtime;
}

// Rounded up, so that a wait never ends before its deadline.
int milliseconds_until(driver::clock::time_point deadline) noexcept {
  if (deadline == driver::clock::time_point::max()) return -1;
  if (deadline == driver::clock::time_point::min()) return 0;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - driver::clock::now());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, INT_MAX));
}

}  // namespace

poller* poller::install(std::error_code& ec) {
  try {
    std::unique_ptr<poller> fresh = create(ec);
    if (fresh == nullptr) return nullptr;
    fresh->enter_register();
    if (!fresh->watch_wake_event()) {
      ec = last_error();
      return nullptr;
    }
    poller* const result = fresh.get();
    weft::detail::install_driver(std::move(fresh), &kind);
    return result;
  } catch (const std::bad_alloc&) {
    ec = std::make_error_code(std::errc::not_enough_memory);
    return nullptr;
  }
}

std::unique_ptr<poller> poller::create(std::error_code& ec) {
  std::unique_ptr<poller> fresh{new poller};
  fresh->epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  fresh->wake_event_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fresh->epoll_ >= 0 && fresh->wake_event_ >= 0) return fresh;
  ec = last_error();
  return nullptr;
}

poller::poller() : id_(id_of(weft::detail::this_worker())), buffers_(buffer_pool::create()) {}

poller::~poller() {
  leave_register();
  buffers_->abandon();
  if (wake_event_ >= 0) ::close(wake_event_);
  if (epoll_ >= 0) ::close(epoll_);
}

void poller::enter_register() {
  const std::lock_guard hold{registry_lock};
  registry.push_back({id_, epoll_, wake_event_});
}

void poller::leave_register() noexcept {
  const std::lock_guard hold{registry_lock};
  std::erase_if(registry, [this](const registered_poller& each) {
    return each.id == id_ && each.epoll == epoll_;
  });
}

bool poller::watch_wake_event() noexcept {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = wake_tag;
  return ::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_event_, &event) == 0;
}

bool poller::start_watching(int fd, fd_record& record, std::error_code& ec) noexcept {
  if (std::ranges::any_of(record.directions, &is_awaited_elsewhere)) {
    record.lock.unlock();
    weft::detail::misuse("two runtimes wait for descriptor " + std::to_string(fd) +
                         " at once; a socket belongs to one at a time");
  }
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
  record.poller_id.store(id_, std::memory_order_relaxed);
  return true;
}

bool poller::unwatch(int fd, fd_record& record, std::uint32_t generation) noexcept {
  const std::lock_guard hold{registry_lock};
  record.lock.lock();
  const bool same = record.is_generation(generation);
  const std::uint64_t id =
      same ? record.poller_id.exchange(0, std::memory_order_relaxed) : std::uint64_t{0};
  record.lock.unlock();
  const auto found = std::ranges::find(registry, id, &registered_poller::id);
  // Cannot fail for a descriptor that is registered and open.
  if (found != registry.end()) ::epoll_ctl(found->epoll, EPOLL_CTL_DEL, fd, nullptr);
  return same;
}

int poller::wait_for_events(clock::time_point deadline) noexcept {
  int timeout = milliseconds_until(deadline);
  if (timeout != 0) sleeping_.store(true, std::memory_order_seq_cst);
  const bool was_woken =
      woken_.load(std::memory_order_seq_cst) && !planted(weft::detail::bug::sleeps_although_woken);
  if (was_woken) {
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
  // Of a few connections it is.
  if (count < few_events) return;
  if (index < count) __builtin_prefetch(record_at(index));
  if (index < 2 || index - 2 >= count) return;
  fd_record* const sooner = record_at(index - 2);
  // Of an event that came late the record may be in use on another thread.
  if (sooner == nullptr || !sooner->is_generation(generation_of(events_[index - 2].data.u64)))
    return;
  // Looked at under the lock, and only as an address after that.
  sooner->lock.lock();
  const weft::detail::wait_node* const first = sooner->at(direction::read).readiness.first();
  sooner->lock.unlock();
  if (first == nullptr) return;
  // The word of its waiter lies in the line before it.
  __builtin_prefetch(first);
  __builtin_prefetch(reinterpret_cast<const std::byte*>(first) - 64);
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
    report_events(record, generation_of(event.data.u64), id_, event.events);
  }
}

namespace {

// Of a plain thread, from its first borrowed read on.
constinit thread_local buffer_pool* buffers_of_thread = nullptr;

// At its end; a destructor that reads afterwards makes another pool.
void abandon_buffers_of_thread(void* /*unused*/) noexcept {
  std::exchange(buffers_of_thread, nullptr)->abandon();
}

// False when there is no memory.
bool make_buffers_of_thread() noexcept {
  try {
    buffers_of_thread = buffer_pool::create();
    weft::detail::at_thread_exit(&abandon_buffers_of_thread, nullptr);
  } catch (const std::bad_alloc&) {
    if (buffers_of_thread != nullptr) abandon_buffers_of_thread(nullptr);
  }
  return buffers_of_thread != nullptr;
}

}  // namespace

io_buffer* lend_buffer_slowly(std::error_code& ec) {
  if (weft::detail::on_worker()) {
    poller* const worker = poller::of_this_worker(ec);
    return worker != nullptr ? worker->buffers().lend() : nullptr;
  }
  if (buffers_of_thread == nullptr && !make_buffers_of_thread()) return nullptr;
  return buffers_of_thread->lend();
}

accept_reports& accept_reports::of_this_thread() noexcept {
  if (poller* const worker = poller::if_installed()) return worker->reports_of_accept();
  thread_local accept_reports mine;
  return mine;
}

bool accept_reports::is_due(int error) noexcept {
  const auto now = std::chrono::steady_clock::now();
  if (error == last_ && now - at_ < std::chrono::seconds{10}) return false;
  last_ = error;
  at_ = now;
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

// ---- fork ------------------------------------------------------------------------------------

// After forget_pollers_of_parent().
void poller::after_fork() {
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  wake_event_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  sleeping_.store(false, std::memory_order_relaxed);
  waiting_ = 0;
  enter_register();
  if (epoll_ < 0 || wake_event_ < 0 || !watch_wake_event()) {
    weft::detail::misuse("no poller in the child of a fork, error " + std::to_string(errno));
  }
}

void hold_pollers() noexcept { registry_lock.lock(); }

void release_pollers() noexcept { registry_lock.unlock(); }

// What the two have in common is the parent's: a change to its epoll by the child would be one to
// the parent's.
void forget_pollers_of_parent() noexcept {
  for (const registered_poller& each : registry) {
    ::close(each.wake_event);
    ::close(each.epoll);
  }
  registry.clear();
  registry_lock.unlock();
}

}  // namespace weft::net::detail
