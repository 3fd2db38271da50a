#include "idle.hpp"

#include <chrono>

#include "farewell.hpp"

namespace weft::load {

using namespace std::chrono_literals;

void run_idle(client_state& state, time_point start) {
  // The first exchanges were measured while connecting; what comes now is none of these.
  state.io.measured = {start, start + state.settings.duration};
  std::uint64_t alive = state.connections.size();
  bool stopped = false;
  cpu_meter meter{state.settings};
  meter.watch({start, start}, start);
  while (!stopped && alive > 0 && clock::now() < state.io.measured.end) {
    for (const epoll_event& event : state.queue.wait(state.io.measured.end)) {
      if (event.data.ptr == nullptr) {
        stopped = stopped || state.parent.stop_requested();
        continue;
      }
      connection& c = *static_cast<connection*>(event.data.ptr);
      if (c.fd < 0) continue;
      time_point now = start;
      const int code = state.io.receive(c, event.events, now);
      if (code == outcome::good) continue;
      state.lose(c, code);
      --alive;
    }
    state.publish(alive);
  }
  const time_point end = std::min(clock::now(), state.io.measured.end);
  meter.end(state.counts);
  state.counts.measured = std::max(end - start, clock::duration::zero());
  say_farewell(state, stopped ? 300ms : 1s);
}

}  // namespace weft::load
