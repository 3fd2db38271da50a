#include "system_calls.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string_view>
#include <sys/resource.h>
#include <sys/socket.h>

// Names that begin with two underscores are what --wrap asks for.
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming)
extern "C" {
ssize_t __real_recv(int fd, void* buffer, size_t size, int flags);
ssize_t __real_send(int fd, const void* data, size_t size, int flags);
int __real_accept4(int fd, sockaddr* address, socklen_t* size, int flags);
ssize_t __real_sendto(int fd, const void* data, size_t size, int flags, const sockaddr* receiver,
                      socklen_t receiver_size);
ssize_t __wrap_recv(int fd, void* buffer, size_t size, int flags);
ssize_t __wrap_send(int fd, const void* data, size_t size, int flags);
ssize_t __wrap_sendto(int fd, const void* data, size_t size, int flags, const sockaddr* receiver,
                      socklen_t receiver_size);
int __wrap_accept4(int fd, sockaddr* address, socklen_t* size, int flags);
int __real_getsockopt(int fd, int level, int name, void* value, socklen_t* size);
int __wrap_getsockopt(int fd, int level, int name, void* value, socklen_t* size);
}

namespace weft::test {

system_call_watch& system_calls() {
  static system_call_watch watch;
  return watch;
}

}  // namespace weft::test

using weft::test::system_calls;

ssize_t __wrap_recv(int fd, void* buffer, size_t size, int flags) {
  auto& watch = system_calls();
  ++watch.recv_calls;
  if (watch.at_most != 0) size = std::min(size, watch.at_most);
  const ssize_t result = __real_recv(fd, buffer, size, flags);
  const int error = errno;
  if (watch.after_recv) watch.after_recv(result);
  errno = error;
  return result;
}

ssize_t __wrap_send(int fd, const void* data, size_t size, int flags) {
  auto& watch = system_calls();
  ++watch.send_calls;
  if (watch.at_most != 0) size = std::min(size, watch.at_most);
  return __real_send(fd, data, size, flags);
}

ssize_t __wrap_sendto(int fd, const void* data, size_t size, int flags, const sockaddr* receiver,
                      socklen_t receiver_size) {
  ++system_calls().sendto_calls;
  return __real_sendto(fd, data, size, flags, receiver, receiver_size);
}

int __wrap_accept4(int fd, sockaddr* address, socklen_t* size, int flags) {
  auto& watch = system_calls();
  ++watch.accept4_calls;
  if (const int error = watch.instead_of_accept4 ? watch.instead_of_accept4() : 0; error != 0) {
    errno = error;
    return -1;
  }
  rlimit former{};
  ::getrlimit(RLIMIT_NOFILE, &former);
  rlimit meanwhile = former;
  if (watch.accept4_descriptor_limit != 0) {
    meanwhile.rlim_cur = static_cast<rlim_t>(watch.accept4_descriptor_limit);
  }
  ::setrlimit(RLIMIT_NOFILE, &meanwhile);
  const int result = __real_accept4(fd, address, size, flags);
  const int error = errno;
  ::setrlimit(RLIMIT_NOFILE, &former);
  errno = error;
  return result;
}

int __wrap_getsockopt(int fd, int level, int name, void* value, socklen_t* size) {
  constexpr std::string_view tls{"tls\0", 4};
  if (level != IPPROTO_TCP || name != TCP_ULP || !system_calls().upper_protocol ||
      *size < tls.size()) {
    return __real_getsockopt(fd, level, name, value, size);
  }
  std::memcpy(value, tls.data(), tls.size());
  *size = tls.size();
  return 0;
}

// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)
