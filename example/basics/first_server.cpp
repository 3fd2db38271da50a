#include <iostream>

#include <weft/net.hpp>

void echo(weft::net::socket& peer) {
  while (auto data = peer.read_some_borrowed()) peer.write(data);
}

int main(int argc, char**) try {
  if (argc > 1) {
    std::cerr << "first-server takes no arguments\n";
    return 2;
  }
  weft::run([] {
    weft::net::listener listener{weft::net::endpoint::parse("127.0.0.1:25000")};
    std::cout << "listening on 127.0.0.1:25000" << std::endl;
    weft::net::serve(listener, echo);  // until Ctrl-C; a fiber for each connection
  });
} catch (const std::exception& error) {

  std::cerr << "first-server: " << error.what() << '\n';
  return 1;
}
