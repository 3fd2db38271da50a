#include "farewell.hpp"

#include <cstdint>
#include <sys/socket.h>

namespace weft::load {

void say_farewell(client_state& state, std::chrono::nanoseconds patience) {
  std::uint64_t open = 0;
  for (connection& c : state.connections) {
    if (c.fd < 0) continue;
    ++open;
    // Fails only where the peer has reset the connection, which its next event tells.
    ::shutdown(c.fd, SHUT_WR);
  }
  time_point last_end = clock::now();
  while (open > 0) {
    for (const epoll_event& event : state.queue.wait(last_end + patience)) {
      if (event.data.ptr == nullptr) {
        if (state.parent.stop_requested()) patience = std::chrono::nanoseconds::zero();
        continue;
      }
      connection& c = *static_cast<connection*>(event.data.ptr);
      time_point now = last_end;
      if (c.fd < 0 || state.io.receive(c, event.events, now) == outcome::good) continue;
      state.close(c);
      --open;
      last_end = clock::now();
    }
    if (clock::now() >= last_end + patience) break;
  }
  for (connection& c : state.connections) state.close(c);
}

}  // namespace weft::load
