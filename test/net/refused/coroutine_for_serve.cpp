// A coroutine as the handler of serve(), which would close the connection before it runs.
#include <weft/net/serve.hpp>

weft::co::task<> handle(weft::net::socket& connection);

void call(weft::net::listener& listener) { weft::net::serve(listener, handle); }
