#include "kernel.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utility>

#include "execution.hpp"
#include "schedule_point.hpp"

namespace weft::model {
namespace {

enum class file_kind : std::uint8_t { stream, epoll, event };

// Of who waits in poll(2) for descriptors, whichever they are: each looks for itself.
constexpr std::uint64_t key_of_poll = ~std::uint64_t{0};

// What an epoll instance knows of a file that it watches.
struct watch {
  int epoll = 0;  // its number
  int number = 0;
  epoll_data_t data{};
  bool edge = false;
};

// Of a fixed capacity: what a run does allocates nothing, see execution.cpp.
struct watch_list {
  std::array<watch, 4> entries;
  std::size_t count = 0;

  watch* begin() noexcept { return entries.data(); }

  watch* end() noexcept { return entries.data() + count; }

  void add(const watch& fresh) noexcept {
    check(count < entries.size(), "few epoll instances watch a file");
    entries[count++] = fresh;
  }

  void forget(int epoll) noexcept {
    const auto rest =
        std::remove_if(begin(), end(), [epoll](const watch& each) { return each.epoll == epoll; });
    count = static_cast<std::size_t>(rest - begin());
  }
};

struct file {
  file_kind kind = file_kind::stream;
  int instance = 0;
  int references = 1;
  int readable = 0;  // bytes, or the count of an eventfd
  int vain_reads = 0;
  watch_list watches;
};

constexpr std::size_t most = 32;

struct kernel_state {
  std::array<file, most> files;
  std::size_t file_count = 0;
  std::array<file*, most> numbers{};
  std::array<int, most> in_call{};
};

kernel_state kernel;

file*& file_at(int number) noexcept {
  return kernel.numbers[static_cast<std::size_t>(number - first_number)];
}

int& calls_on(int number) noexcept {
  return kernel.in_call[static_cast<std::size_t>(number - first_number)];
}

file& open_file(int number) noexcept {
  check(file_at(number) != nullptr, "the number of a system call is open");
  return *file_at(number);
}

int open(file_kind kind, int instance = 0) {
  before_access();
  check(kernel.file_count < most, "a model opens few files");
  file& fresh = kernel.files[kernel.file_count++];
  fresh.kind = kind;
  fresh.instance = instance;
  int number = first_number;
  while (file_at(number) != nullptr) ++number;
  file_at(number) = &fresh;
  return number;
}

file* stream_of(int instance) noexcept {
  for (std::size_t i = 0; i < kernel.file_count; ++i) {
    file& each = kernel.files[i];
    if (each.kind == file_kind::stream && each.instance == instance) return &each;
  }
  return nullptr;
}

std::uint64_t key_of_instance(int instance) noexcept {
  return static_cast<std::uint64_t>(instance);
}

std::uint64_t key_of_epoll(int number) noexcept { return static_cast<std::uint64_t>(number); }

void raise_edges(file& target) noexcept {
  wake(sleep_kind::poll, key_of_poll, SIZE_MAX);
  for (watch& each : target.watches) {
    each.edge = true;
    wake(sleep_kind::poll, key_of_epoll(each.epoll), SIZE_MAX);
  }
}

// As ep_send_events(): what is true now, of those with an edge since the last look.
int collect(int epoll, epoll_event* events, int capacity) noexcept {
  int count = 0;
  for (std::size_t i = 0; i < kernel.file_count; ++i) {
    file& each = kernel.files[i];
    for (watch& mine : each.watches) {
      if (mine.epoll != epoll || !mine.edge || count == capacity) continue;
      mine.edge = false;
      const std::uint32_t in = each.readable != 0 ? std::uint32_t{EPOLLIN} : 0;
      const std::uint32_t out = each.kind == file_kind::stream ? std::uint32_t{EPOLLOUT} : 0;
      if ((in | out) == 0) continue;
      events[count].events = in | out;
      events[count++].data = mine.data;
    }
  }
  return count;
}

void forget_epoll(int number) noexcept {
  for (file& each : kernel.files) each.watches.forget(number);
}

void close_file(int number) noexcept {
  before_access();
  file& target = open_file(number);
  say("close", static_cast<std::uint64_t>(number));
  check(calls_on(number) == 0, "no number is closed while a system call uses it");
  file_at(number) = nullptr;
  if (--target.references == 0) target.watches.count = 0;
  if (target.kind == file_kind::epoll) forget_epoll(number);
}

}  // namespace

void reset_kernel() noexcept { kernel = {}; }

int open_stream(int instance, bool shared) {
  const int number = open(file_kind::stream, instance);
  say("open", static_cast<std::uint64_t>(number));
  open_file(number).references = shared ? 2 : 1;
  wake(sleep_kind::poll, key_of_instance(instance), SIZE_MAX);
  return number;
}

void deliver(int instance) {
  before_access();
  while (stream_of(instance) == nullptr) {
    sleep(sleep_kind::poll, key_of_instance(instance), time_point::max());
  }
  file& target = *stream_of(instance);
  if (target.references == 0) return;
  say("deliver to stream", static_cast<std::uint64_t>(instance));
  ++target.readable;
  raise_edges(target);
}

std::ptrdiff_t read_bytes(int number, int instance, std::size_t at_most) {
  file& target = open_file(number);
  check(target.instance == instance, "a read meets the descriptor it was for");
  ++calls_on(number);
  before_access();  // the call takes its time
  --calls_on(number);
  if (target.readable == 0) {
    say("read: nothing, of stream", static_cast<std::uint64_t>(instance));
    ++target.vain_reads;
    errno = EAGAIN;
    return -1;
  }
  say("read of stream", static_cast<std::uint64_t>(instance));
  const int count = std::min(static_cast<int>(at_most), target.readable);
  target.readable -= count;
  return count;
}

int vain_reads(int instance) noexcept {
  const file* const target = stream_of(instance);
  return target != nullptr ? target->vain_reads : 0;
}

int open_streams() noexcept {
  int count = 0;
  for (const file* each : kernel.numbers) {
    if (each != nullptr && each->kind == file_kind::stream) ++count;
  }
  return count;
}

namespace {

int epoll_control(int epoll, int operation, int number, const epoll_event* event) noexcept {
  before_access();
  file& target = open_file(number);
  check(operation == EPOLL_CTL_ADD, "descriptors are only added");
  for (const watch& each : target.watches) {
    if (each.epoll != epoll || each.number != number) continue;
    errno = EEXIST;
    return -1;
  }
  target.watches.add({epoll, number, event->data, true});
  wake(sleep_kind::poll, key_of_epoll(epoll), SIZE_MAX);
  return 0;
}

int epoll_waiting(int epoll, epoll_event* events, int capacity, int milliseconds) noexcept {
  before_access();
  const time_point deadline =
      milliseconds < 0 ? time_point::max() : now() + std::chrono::milliseconds{milliseconds};
  for (;;) {
    const int count = collect(epoll, events, capacity);
    if (count != 0 || milliseconds == 0) return count;
    if (!sleep(sleep_kind::poll, key_of_epoll(epoll), deadline)) return 0;
  }
}

// Null for a number that was closed before the call.
short poll_events(const file* target, short wanted) noexcept {
  if (target == nullptr) return POLLNVAL;
  int seen = 0;
  if (target->readable != 0) seen |= POLLIN;
  if (target->kind == file_kind::stream) seen |= POLLOUT;
  return static_cast<short>(seen & wanted);
}

// A descriptor that is closed meanwhile stays open for the call.
int poll_files(pollfd* watched, std::size_t count, time_point deadline) noexcept {
  before_access();
  constexpr std::size_t most_watched = 2;
  check(count <= most_watched, "a poll is for few descriptors");
  std::array<file*, most_watched> files{};
  for (std::size_t i = 0; i < count; ++i) files[i] = file_at(watched[i].fd);
  for (;;) {
    int ready = 0;
    for (std::size_t i = 0; i < count; ++i) {
      watched[i].revents = poll_events(files[i], watched[i].events);
      if (watched[i].revents != 0) ++ready;
    }
    if (ready != 0) return ready;
    if (!sleep(sleep_kind::poll, key_of_poll, deadline)) return 0;
  }
}

time_point end_of(const timespec* left) noexcept {
  if (left == nullptr) return time_point::max();
  return now() + std::chrono::seconds{left->tv_sec} + std::chrono::nanoseconds{left->tv_nsec};
}

ssize_t read_event(int number, void* count) noexcept {
  before_access();
  file& target = open_file(number);
  check(target.kind == file_kind::event, "only eventfds are read here");
  if (target.readable == 0) {
    errno = EAGAIN;
    return -1;
  }
  const auto value = static_cast<std::uint64_t>(std::exchange(target.readable, 0));
  std::memcpy(count, &value, sizeof value);
  return sizeof value;
}

ssize_t write_event(int number, std::size_t size) noexcept {
  before_access();
  file& target = open_file(number);
  ++target.readable;
  raise_edges(target);
  return static_cast<ssize_t>(size);
}

}  // namespace
}  // namespace weft::model

// NOLINTBEGIN: the names are the linker's
extern "C" {

int __real_close(int fd);
ssize_t __real_write(int fd, const void* data, size_t size);
ssize_t __real_read(int fd, void* data, size_t size);
int __real_ppoll(pollfd* watched, nfds_t count, const timespec* left, const sigset_t* mask);

int __wrap_epoll_create1(int /*flags*/) { return weft::model::open(weft::model::file_kind::epoll); }

int __wrap_eventfd(unsigned /*count*/, int /*flags*/) {
  return weft::model::open(weft::model::file_kind::event);
}

int __wrap_epoll_ctl(int epoll, int operation, int fd, epoll_event* event) {
  return weft::model::epoll_control(epoll, operation, fd, event);
}

int __wrap_epoll_wait(int epoll, epoll_event* events, int capacity, int milliseconds) {
  return weft::model::epoll_waiting(epoll, events, capacity, milliseconds);
}

int __wrap_close(int fd) {
  if (fd < weft::model::first_number) return __real_close(fd);
  weft::model::close_file(fd);
  return 0;
}

ssize_t __wrap_write(int fd, const void* data, size_t size) {
  if (fd < weft::model::first_number) return __real_write(fd, data, size);
  return weft::model::write_event(fd, size);
}

ssize_t __wrap_read(int fd, void* data, size_t size) {
  if (fd < weft::model::first_number) return __real_read(fd, data, size);
  return weft::model::read_event(fd, data);
}

int __wrap_ppoll(pollfd* watched, nfds_t count, const timespec* left, const sigset_t* mask) {
  if (!weft::model::in_run()) return __real_ppoll(watched, count, left, mask);
  return weft::model::poll_files(watched, count, weft::model::end_of(left));
}

}  // extern "C"
// NOLINTEND
