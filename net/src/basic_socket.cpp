#include <weft/net/basic_socket.hpp>

#include "native_socket.hpp"

namespace weft::net {

using detail::throw_if;

endpoint basic_socket::local_endpoint(std::error_code& ec) const {
  return detail::local_endpoint(descriptor_, ec);
}

endpoint basic_socket::local_endpoint() const {
  std::error_code ec;
  const endpoint result = local_endpoint(ec);
  throw_if(ec, "local_endpoint");
  return result;
}

endpoint basic_socket::remote_endpoint(std::error_code& ec) const {
  return detail::remote_endpoint(descriptor_, ec);
}

endpoint basic_socket::remote_endpoint() const {
  std::error_code ec;
  const endpoint result = remote_endpoint(ec);
  throw_if(ec, "remote_endpoint");
  return result;
}

void basic_socket::set_option(int level, int name, int value, std::error_code& ec) noexcept {
  detail::set_option(descriptor_, level, name, value, ec);
}

void basic_socket::set_option(int level, int name, int value) {
  std::error_code ec;
  set_option(level, name, value, ec);
  throw_if(ec, "set_option");
}

int basic_socket::get_option(int level, int name, std::error_code& ec) const noexcept {
  return detail::get_option(descriptor_, level, name, ec);
}

int basic_socket::get_option(int level, int name) const {
  std::error_code ec;
  const int value = get_option(level, name, ec);
  throw_if(ec, "get_option");
  return value;
}

}  // namespace weft::net
