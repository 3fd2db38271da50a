// The queue of a UNIX datagram socket that takes no more, and what is in it.
//
// Threads: any.
#pragma once

#include <array>
#include <chrono>
#include <sys/socket.h>

#include "net_fixture.hpp"

namespace weft::test {

/// Sends until the queue of `receiver` takes no more, by another socket than those of the test.
/// Returns how many datagrams that were.
inline int fill_queue(const net::endpoint& receiver) {
  const unique_fd filler{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  int sent = 0;
  while (::sendto(filler.get(), "filler", 6, 0, receiver.native(), receiver.native_size()) == 6) {
    ++sent;
  }
  return sent;
}

/// Drops what is in the queue. Never waits, and no fiber runs meanwhile.
inline void empty_queue(const net::datagram_socket& receiver) {
  std::array<char, 16> buffer;
  while (::recv(receiver.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT) > 0) {
  }
}

inline bool is_empty(const net::datagram_socket& receiver) {
  char byte = 0;
  return ::recv(receiver.native_handle(), &byte, 1, MSG_DONTWAIT) < 0;
}

/// Keeps the worker from looking at its timers until the first pause of a sender is over.
inline void spin_past_the_pause() {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds{20};
  while (std::chrono::steady_clock::now() < end) {
  }
}

}  // namespace weft::test
