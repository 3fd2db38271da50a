// The system calls of fiber/ and net/, which fail on request: see faults.hpp.
//
// A strike must be one that the kernel could deal. An edge-triggered descriptor that says EAGAIN
// although it is ready, or moves less than it has, would never tell of the rest. So what is left is
// announced again, as if it had arrived just after the call: epoll_ctl(2) with EPOLL_CTL_MOD makes
// another event of a descriptor that is ready. One that is not registered yet needs none, for it
// will be.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdarg>
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <mutex>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "faults.hpp"

namespace {

using weft::test::call;
using weft::test::effect;
using weft::test::strike;
using weft::test::detail::next_strike;

// ---- announcing again ---------------------------------------------------------------------------

struct registration {
  int epoll = -1;
  epoll_event event{};
};

constexpr std::size_t most_descriptors = 1024;

std::mutex registered_lock;
std::array<registration, most_descriptors> registered;  // by descriptor

bool is_followed(int fd) noexcept {
  return fd >= 0 && static_cast<std::size_t>(fd) < registered.size();
}

void note_registration(int epoll, int operation, int fd, const epoll_event* event) noexcept {
  if (!is_followed(fd)) return;
  const std::lock_guard hold{registered_lock};
  registration& mine = registered[static_cast<std::size_t>(fd)];
  mine = operation == EPOLL_CTL_DEL ? registration{} : registration{epoll, *event};
}

void forget_registration(int fd) noexcept {
  if (!is_followed(fd)) return;
  const std::lock_guard hold{registered_lock};
  registered[static_cast<std::size_t>(fd)] = {};
}

registration registration_of(int fd) noexcept {
  if (!is_followed(fd)) return {};
  const std::lock_guard hold{registered_lock};
  return registered[static_cast<std::size_t>(fd)];
}

// Whether the next `--wrap`ped call fails, with errno set.
bool fails(call which) noexcept {
  const strike next = next_strike(which);
  if (next.what != effect::fails) return false;
  errno = next.error;
  return true;
}

}  // namespace

// Names that begin with two underscores are what --wrap asks for.
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming)
extern "C" {
void* __real_mmap(void* at, size_t size, int protection, int flags, int fd, off_t offset);
int __real_munmap(void* at, size_t size);
int __real_mprotect(void* at, size_t size, int protection);
int __real_madvise(void* at, size_t size, int advice);
int __real_sigaltstack(const stack_t* next, stack_t* former);
int __real_pthread_getattr_np(pthread_t thread, pthread_attr_t* attributes);
long __real_syscall(long number, ...);
int __real_epoll_create1(int flags);
int __real_epoll_ctl(int epoll, int operation, int fd, epoll_event* event);
int __real_epoll_wait(int epoll, epoll_event* events, int most, int timeout);
int __real_eventfd(unsigned initial, int flags);
int __real_socket(int family, int type, int protocol);
int __real_bind(int fd, const sockaddr* address, socklen_t size);
int __real_listen(int fd, int backlog);
int __real_lstat(const char* path, struct stat* status);
int __real_connect(int fd, const sockaddr* address, socklen_t size);
int __real_accept4(int fd, sockaddr* address, socklen_t* size, int flags);
int __real_getsockopt(int fd, int level, int name, void* value, socklen_t* size);
int __real_setsockopt(int fd, int level, int name, const void* value, socklen_t size);
int __real_getsockname(int fd, sockaddr* address, socklen_t* size);
int __real_getpeername(int fd, sockaddr* address, socklen_t* size);
int __real_shutdown(int fd, int how);
int __real_fcntl(int fd, int command, ...);
ssize_t __real_recv(int fd, void* buffer, size_t size, int flags);
ssize_t __real_send(int fd, const void* data, size_t size, int flags);
ssize_t __real_sendto(int fd, const void* data, size_t size, int flags, const sockaddr* receiver,
                      socklen_t receiver_size);
ssize_t __real_recvmsg(int fd, msghdr* message, int flags);
int __real_poll(pollfd* watched, nfds_t count, int timeout);
int __real_ppoll(pollfd* watched, nfds_t count, const timespec* timeout, const sigset_t* signals);
int __real_close(int fd);

void* __wrap_mmap(void* at, size_t size, int protection, int flags, int fd, off_t offset);
int __wrap_munmap(void* at, size_t size);
int __wrap_mprotect(void* at, size_t size, int protection);
int __wrap_madvise(void* at, size_t size, int advice);
int __wrap_sigaltstack(const stack_t* next, stack_t* former);
int __wrap_pthread_getattr_np(pthread_t thread, pthread_attr_t* attributes);
long __wrap_syscall(long number, ...);
int __wrap_epoll_create1(int flags);
int __wrap_epoll_ctl(int epoll, int operation, int fd, epoll_event* event);
int __wrap_epoll_wait(int epoll, epoll_event* events, int most, int timeout);
int __wrap_eventfd(unsigned initial, int flags);
int __wrap_socket(int family, int type, int protocol);
int __wrap_bind(int fd, const sockaddr* address, socklen_t size);
int __wrap_listen(int fd, int backlog);
int __wrap_lstat(const char* path, struct stat* status);
int __wrap_connect(int fd, const sockaddr* address, socklen_t size);
int __wrap_accept4(int fd, sockaddr* address, socklen_t* size, int flags);
int __wrap_getsockopt(int fd, int level, int name, void* value, socklen_t* size);
int __wrap_setsockopt(int fd, int level, int name, const void* value, socklen_t size);
int __wrap_getsockname(int fd, sockaddr* address, socklen_t* size);
int __wrap_getpeername(int fd, sockaddr* address, socklen_t* size);
int __wrap_shutdown(int fd, int how);
int __wrap_fcntl(int fd, int command, ...);
ssize_t __wrap_recv(int fd, void* buffer, size_t size, int flags);
ssize_t __wrap_send(int fd, const void* data, size_t size, int flags);
ssize_t __wrap_sendto(int fd, const void* data, size_t size, int flags, const sockaddr* receiver,
                      socklen_t receiver_size);
ssize_t __wrap_recvmsg(int fd, msghdr* message, int flags);
int __wrap_poll(pollfd* watched, nfds_t count, int timeout);
int __wrap_ppoll(pollfd* watched, nfds_t count, const timespec* timeout, const sigset_t* signals);
int __wrap_close(int fd);
}

namespace {

// The kernel maps whole pages, and takes them away.
std::int64_t whole_pages(std::size_t size) noexcept {
  constexpr std::size_t page = 4096;
  return static_cast<std::int64_t>((size + page - 1) / page * page);
}

}  // namespace

// ---- memory and threads -------------------------------------------------------------------------

void* __wrap_mmap(void* at, size_t size, int protection, int flags, int fd, off_t offset) {
  if (fails(call::mmap)) return MAP_FAILED;
  void* const place = __real_mmap(at, size, protection, flags, fd, offset);
  if (place != MAP_FAILED) {
    weft::test::detail::count_mapped_bytes(whole_pages(size));
  }
  return place;
}

int __wrap_munmap(void* at, size_t size) {
  weft::test::detail::count_mapped_bytes(-whole_pages(size));
  return __real_munmap(at, size);
}

int __wrap_mprotect(void* at, size_t size, int protection) {
  return fails(call::mprotect) ? -1 : __real_mprotect(at, size, protection);
}

int __wrap_madvise(void* at, size_t size, int advice) {
  return fails(call::madvise) ? -1 : __real_madvise(at, size, advice);
}

int __wrap_sigaltstack(const stack_t* next, stack_t* former) {
  // One that only asks, or takes its own away again, cannot fail.
  const bool may_fail = next != nullptr && (next->ss_flags & SS_DISABLE) == 0;
  return may_fail && fails(call::sigaltstack) ? -1 : __real_sigaltstack(next, former);
}

int __wrap_pthread_getattr_np(pthread_t thread, pthread_attr_t* attributes) {
  const strike next = next_strike(call::pthread_getattr_np);
  if (next.what == effect::fails) return next.error;
  return __real_pthread_getattr_np(thread, attributes);
}

// The thread library of C++ calls it, so it is not wrapped but defined.
extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                              void* (*function)(void*), void* argument) noexcept {
  using signature = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto real = reinterpret_cast<signature>(::dlsym(RTLD_NEXT, "pthread_create"));
  const strike next = next_strike(call::pthread_create);
  return next.what == effect::fails ? next.error : real(thread, attributes, function, argument);
}

namespace {

// Of a membarrier(2) only what may be refused by a filter, and never the registration of a process
// that has one: a fence that is promised is made.
bool fails_as_raw_call(long number, long first, long second) noexcept {
  if (number == SYS_membarrier) {
    return first != MEMBARRIER_CMD_GLOBAL && fails(call::membarrier);
  }
  const bool waits = number == SYS_futex && (second & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET;
  return waits && fails(call::futex_wait);
}

}  // namespace

long __wrap_syscall(long number, ...) {
  std::array<long, 6> arguments{};
  va_list given;
  va_start(given, number);
  for (long& each : arguments) each = va_arg(given, long);
  va_end(given);
  if (fails_as_raw_call(number, arguments[0], arguments[1])) return -1;
  return __real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3],
                        arguments[4], arguments[5]);
}

// ---- events -------------------------------------------------------------------------------------

int __wrap_epoll_create1(int flags) {
  return fails(call::epoll_create1) ? -1 : __real_epoll_create1(flags);
}

int __wrap_epoll_ctl(int epoll, int operation, int fd, epoll_event* event) {
  // What is registered can always be taken away.
  if (operation != EPOLL_CTL_DEL && fails(call::epoll_ctl)) return -1;
  const int result = __real_epoll_ctl(epoll, operation, fd, event);
  const int error = errno;
  if (result == 0) note_registration(epoll, operation, fd, event);
  errno = error;
  return result;
}

int __wrap_epoll_wait(int epoll, epoll_event* events, int most, int timeout) {
  const strike next = next_strike(call::epoll_wait);
  if (next.what == effect::fails) {
    errno = next.error;
    return -1;
  }
  // The others stay in the kernel's list.
  if (next.what == effect::moves_one || next.what == effect::moves_half) most = 1;
  return __real_epoll_wait(epoll, events, most, timeout);
}

int __wrap_eventfd(unsigned initial, int flags) {
  return fails(call::eventfd) ? -1 : __real_eventfd(initial, flags);
}

int __wrap_poll(pollfd* watched, nfds_t count, int timeout) {
  return fails(call::poll) ? -1 : __real_poll(watched, count, timeout);
}

int __wrap_ppoll(pollfd* watched, nfds_t count, const timespec* timeout, const sigset_t* signals) {
  return fails(call::ppoll) ? -1 : __real_ppoll(watched, count, timeout, signals);
}

// ---- sockets ------------------------------------------------------------------------------------

int __wrap_socket(int family, int type, int protocol) {
  return fails(call::socket) ? -1 : __real_socket(family, type, protocol);
}

int __wrap_bind(int fd, const sockaddr* address, socklen_t size) {
  return fails(call::bind) ? -1 : __real_bind(fd, address, size);
}

int __wrap_listen(int fd, int backlog) {
  return fails(call::listen) ? -1 : __real_listen(fd, backlog);
}

int __wrap_lstat(const char* path, struct stat* status) {
  return fails(call::lstat) ? -1 : __real_lstat(path, status);
}

int __wrap_getsockopt(int fd, int level, int name, void* value, socklen_t* size) {
  return fails(call::getsockopt) ? -1 : __real_getsockopt(fd, level, name, value, size);
}

int __wrap_setsockopt(int fd, int level, int name, const void* value, socklen_t size) {
  return fails(call::setsockopt) ? -1 : __real_setsockopt(fd, level, name, value, size);
}

int __wrap_getsockname(int fd, sockaddr* address, socklen_t* size) {
  return fails(call::getsockname) ? -1 : __real_getsockname(fd, address, size);
}

int __wrap_getpeername(int fd, sockaddr* address, socklen_t* size) {
  return fails(call::getpeername) ? -1 : __real_getpeername(fd, address, size);
}

int __wrap_shutdown(int fd, int how) {
  return fails(call::shutdown) ? -1 : __real_shutdown(fd, how);
}

int __wrap_fcntl(int fd, int command, ...) {
  va_list given;
  va_start(given, command);
  const long argument = va_arg(given, long);
  va_end(given);
  return fails(call::fcntl) ? -1 : __real_fcntl(fd, command, argument);
}

int __wrap_close(int fd) {
  forget_registration(fd);
  // An interrupted close(2) has closed the descriptor (man 2 close).
  const strike next = next_strike(call::close);
  const int result = __real_close(fd);
  if (next.what != effect::fails) return result;
  errno = next.error;
  return -1;
}

namespace {

// As if what is ready had become ready just now.
void announce_again(int fd) noexcept {
  const int error = errno;
  registration mine = registration_of(fd);
  if (mine.epoll >= 0) __real_epoll_ctl(mine.epoll, EPOLL_CTL_MOD, fd, &mine.event);
  errno = error;
}

// Whether a call that moves data fails, with errno set.
bool fails_to_move(const strike& next, int fd) noexcept {
  if (next.what != effect::fails) return false;
  errno = next.error;
  if (next.error == EAGAIN) announce_again(fd);
  return true;
}

std::size_t shortened(const strike& next, std::size_t size) noexcept {
  if (next.what == effect::moves_one) return std::min<std::size_t>(size, 1);
  if (next.what == effect::moves_half) return (size + 1) / 2;
  return size;
}

bool is_unix(int fd) noexcept {
  int family = 0;
  socklen_t size = sizeof family;
  return __real_getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) == 0 && family == AF_UNIX;
}

}  // namespace

// One that is interrupted goes on in the background, but on UNIX sockets it has done nothing, and
// those do not wait, so that they are not interrupted. EAGAIN says there that the backlog is full,
// and elsewhere that there is no port for it.
int __wrap_connect(int fd, const sockaddr* address, socklen_t size) {
  const strike next = next_strike(call::connect);
  if (next.what != effect::fails || (next.error == EINTR && is_unix(fd)) ||
      (next.error == EAGAIN && !is_unix(fd))) {
    return __real_connect(fd, address, size);
  }
  if (next.error == EINTR && __real_connect(fd, address, size) != 0 && errno != EINPROGRESS) {
    return -1;
  }
  errno = next.error;
  return -1;
}

int __wrap_accept4(int fd, sockaddr* address, socklen_t* size, int flags) {
  if (fails_to_move(next_strike(call::accept4), fd)) return -1;
  return __real_accept4(fd, address, size, flags);
}

ssize_t __wrap_recv(int fd, void* buffer, size_t size, int flags) {
  const strike next = next_strike(call::recv);
  if (fails_to_move(next, fd)) return -1;
  const ssize_t result = __real_recv(fd, buffer, shortened(next, size), flags);
  if (next.what != effect::none && result > 0) announce_again(fd);
  return result;
}

ssize_t __wrap_send(int fd, const void* data, size_t size, int flags) {
  const strike next = next_strike(call::send);
  if (fails_to_move(next, fd)) return -1;
  return __real_send(fd, data, shortened(next, size), flags);
}

// Datagrams go whole or not at all.
ssize_t __wrap_sendto(int fd, const void* data, size_t size, int flags, const sockaddr* receiver,
                      socklen_t receiver_size) {
  if (fails_to_move(next_strike(call::sendto), fd)) return -1;
  return __real_sendto(fd, data, size, flags, receiver, receiver_size);
}

ssize_t __wrap_recvmsg(int fd, msghdr* message, int flags) {
  if (fails_to_move(next_strike(call::recvmsg), fd)) return -1;
  return __real_recvmsg(fd, message, flags);
}

// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)
