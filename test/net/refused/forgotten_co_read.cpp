// An operation on a socket that is never awaited.
#include <array>

#include <weft/net/socket.hpp>

weft::co::task<> call(weft::net::socket& from) {
  std::array<std::byte, 8> buffer;
  from.co_read_some(buffer);
  co_return;
}
