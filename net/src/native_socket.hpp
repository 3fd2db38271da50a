// The system calls that sockets of every kind share, with error codes for errno.
// Threads: any.
#pragma once

#include <sys/socket.h>
#include <system_error>

#include <weft/net/detail/descriptor.hpp>
#include <weft/net/endpoint.hpp>

namespace weft::net::detail {

// A non-blocking, close-on-exec socket(2).
descriptor open_socket(int family, int type, std::error_code& ec);
// Makes a descriptor of the program's own non-blocking; `type` is the SO_TYPE it must have. The
// descriptor stays the caller's on failure.
descriptor adopt_socket(int fd, int type, std::error_code& ec);

void set_option(const descriptor& target, int level, int name, int value,
                std::error_code& ec) noexcept;
int get_option(const descriptor& target, int level, int name, std::error_code& ec) noexcept;

endpoint local_endpoint(const descriptor& target, std::error_code& ec);
endpoint remote_endpoint(const descriptor& target, std::error_code& ec);

// Throws std::system_error if `ec` is set.
inline void throw_if(std::error_code ec, const char* operation) {
  if (ec) throw std::system_error(ec, operation);
}

}  // namespace weft::net::detail
