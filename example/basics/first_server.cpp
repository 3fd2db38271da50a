#include <cstdio>

#include <weft/net.hpp>

using weft::net::endpoint;

void echo(weft::net::socket& peer) {
  while (auto data = peer.read_some_borrowed()) peer.write(data);
}

int main() {
  weft::run([] {
    weft::net::listener listener{endpoint::parse("127.0.0.1:25000")};
    std::puts("listening on 127.0.0.1:25000");
    weft::net::serve(listener, echo);  // until Ctrl-C; a fiber for each connection
  });
}
