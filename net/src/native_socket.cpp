#include "native_socket.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <unistd.h>

#include <weft/fiber/error.hpp>

#include "descriptor_io.hpp"

namespace weft::net::detail {
namespace {

int option_of(int fd, int level, int name, std::error_code& ec) noexcept {
  int value = 0;
  socklen_t size = sizeof value;
  ec = check_result(::getsockopt(fd, level, name, &value, &size));
  return value;
}

// Whether the kernel does TLS on the stream: then a short read may be the end of a record.
bool has_upper_protocol(int fd) noexcept {
  char name[16] = {};
  socklen_t size = sizeof name;
  return ::getsockopt(fd, IPPROTO_TCP, TCP_ULP, name, &size) == 0 && size != 0 && name[0] != '\0';
}

using name_call = int (*)(int, sockaddr*, socklen_t*);

endpoint name_of(name_call call, const descriptor& target, std::error_code& ec) {
  if (!target.is_open()) {
    ec = errc::closed;
    return {};
  }
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  ec = check_result(call(target.fd(), reinterpret_cast<sockaddr*>(&address), &size));
  if (ec) return {};
  return endpoint::from_native(reinterpret_cast<const sockaddr*>(&address), size, ec);
}

}  // namespace

descriptor open_socket(int family, int type, std::error_code& ec) {
  const int fd = ::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  ec = check_result(fd);
  if (ec) return {};
  const bool tcp = type == SOCK_STREAM && (family == AF_INET || family == AF_INET6);
  descriptor opened = descriptor::adopt(fd, tcp, ec);
  if (ec) ::close(fd);
  return opened;
}

descriptor adopt_socket(int fd, int type, std::error_code& ec) {
  const int actual_type = option_of(fd, SOL_SOCKET, SO_TYPE, ec);
  if (ec) return {};
  if (actual_type != type) {
    ec = std::make_error_code(std::errc::wrong_protocol_type);
    return {};
  }
  const int protocol = option_of(fd, SOL_SOCKET, SO_PROTOCOL, ec);
  if (ec) return {};
  const int flags = ::fcntl(fd, F_GETFL);
  ec = check_result(flags);
  if (ec) return {};
  const bool plain_tcp = type == SOCK_STREAM && protocol == IPPROTO_TCP && !has_upper_protocol(fd);
  descriptor adopted = descriptor::adopt(fd, plain_tcp, ec);
  if (ec) return {};
  ec = check_result(::fcntl(fd, F_SETFL, flags | O_NONBLOCK));
  if (ec) adopted.release();
  return adopted;
}

void set_option(const descriptor& target, int level, int name, int value,
                std::error_code& ec) noexcept {
  if (!target.is_open()) {
    ec = errc::closed;
    return;
  }
  ec = check_result(::setsockopt(target.fd(), level, name, &value, sizeof value));
}

int get_option(const descriptor& target, int level, int name, std::error_code& ec) noexcept {
  if (target.is_open()) return option_of(target.fd(), level, name, ec);
  ec = errc::closed;
  return 0;
}

endpoint local_endpoint(const descriptor& target, std::error_code& ec) {
  return name_of(::getsockname, target, ec);
}

endpoint remote_endpoint(const descriptor& target, std::error_code& ec) {
  return name_of(::getpeername, target, ec);
}

std::string limit_behind(std::error_code ec) {
  if (ec == std::errc::too_many_files_open) {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    return "; the limit is " + std::to_string(limit.rlim_cur) + " (ulimit -n)";
  }
  if (ec == std::errc::too_many_files_open_in_system) {
    return "; the limit of the system is in /proc/sys/fs/file-max";
  }
  return "";
}

void throw_error(std::error_code ec, const std::string& operation) {
  const std::string limit = limit_behind(ec);
  // what() is "operation: message".
  throw std::system_error(ec, limit.empty() ? operation : operation + limit);
}

}  // namespace weft::net::detail
