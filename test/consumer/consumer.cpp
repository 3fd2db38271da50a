// A program of somebody who uses weft: two fibers and a few bytes through a socket on loopback.
//
// It is built by every way of getting at the library, with the user's own warnings. Prints what
// came back; exit code 0 only if those are the bytes that went out.
#include <array>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <span>
#include <string_view>

#include <weft/fiber.hpp>
#include <weft/net.hpp>

namespace {

constexpr std::string_view message = "weft was found";

void serve_one(weft::net::listener& listener) {
  weft::net::socket peer = listener.accept();
  std::array<std::byte, message.size()> buffer{};
  peer.read(buffer);
  peer.write(buffer);
}

bool echo_comes_back() {
  weft::net::listener listener{weft::net::endpoint::parse("127.0.0.1:0")};
  auto server = weft::spawn([&] { serve_one(listener); });

  auto client = weft::net::socket::connect(listener.local_endpoint());
  client.write(std::as_bytes(std::span{message}));
  std::array<std::byte, message.size()> reply{};
  client.read(reply);
  server.join();

  const bool equal = std::memcmp(reply.data(), message.data(), message.size()) == 0;
  std::printf("%.*s\n", static_cast<int>(reply.size()),
              reinterpret_cast<const char*>(reply.data()));
  return equal;
}

}  // namespace

int main() {
  return weft::run([] { return echo_comes_back(); }) ? 0 : 1;
}
