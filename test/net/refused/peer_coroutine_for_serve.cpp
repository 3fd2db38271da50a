// The same of a handler that takes the peer.
#include <weft/net/serve.hpp>

void call(weft::net::listener& listener) {
  weft::net::serve(
      listener,
      [](weft::net::socket&, const weft::net::endpoint&) -> weft::co::task<> { co_return; },
      {.stack_size = 65536});
}
