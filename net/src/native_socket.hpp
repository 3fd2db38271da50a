// The system calls that sockets of every kind share, with error codes for errno.
// Threads: any.
#pragma once

#include <string>
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

// For an error that says that descriptors have run out, which limit that was; else nothing.
std::string limit_behind(std::error_code ec);

// Throws std::system_error that names the operation and the limit behind the error, if one is.
[[noreturn]] void throw_error(std::error_code ec, const std::string& operation);

// The same if `ec` is set.
inline void throw_if(std::error_code ec, const char* operation) {
  if (ec) throw_error(ec, operation);
}

}  // namespace weft::net::detail
