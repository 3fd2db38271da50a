// A borrowed read that is never awaited.
#include <weft/net/socket.hpp>

weft::co::task<> call(weft::net::socket& from) {
  from.co_read_some_borrowed();
  co_return;
}
