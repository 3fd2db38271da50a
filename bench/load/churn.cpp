#include "churn.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>
#include <vector>

#include "connector.hpp"

namespace weft::load {
namespace {

using namespace std::chrono_literals;

constexpr auto error_pause = 10ms;    // so that a server that is gone is not asked in a busy loop
constexpr auto backlog_pause = 1ms;   // UNIX sockets do not tell when the backlog has room again
constexpr auto slow_connect = 500ms;  // the kernel sends a lost SYN again after a second
constexpr auto drain_patience = 3s;
constexpr auto stopped_patience = 300ms;

class churn_loop {
public:
  churn_loop(client_state& state, time_point start) : state_(state), start_(start) {
    state.io.measured.begin = start + state.settings.warm_up;
    state.io.measured.end = state.io.measured.begin + state.settings.duration;
    resting_.reserve(state.connections.size());
    stream_ = std::uint64_t{state.mine.client} << 40;
  }

  void run() {
    const window& measured = state_.io.measured;
    while (!stopped_ && clock::now() < start_) batch(start_);
    for (connection& c : state_.connections) open(c);
    cpu_meter meter{state_.settings};
    while (!stopped_) {
      const time_point now = batch(meter.begun() ? measured.end : measured.begin);
      meter.watch(measured, now);
      if (now >= measured.end) break;
      if (resume_at_ && now >= *resume_at_) resume();
    }
    stopping_ = true;
    const time_point end = std::min(clock::now(), measured.end);
    meter.end(state_.counts);
    state_.io.measured.end = end;
    state_.counts.measured = std::max(end - measured.begin, clock::duration::zero());
    drain();
  }

private:
  void resume() {
    resume_at_.reset();
    std::vector<connection*> awake;
    awake.swap(resting_);
    for (connection* c : awake) open(*c);
  }

  void rest(connection& c, clock::duration pause) {
    if (!resume_at_) resume_at_ = clock::now() + pause;
    resting_.push_back(&c);
  }

  void open(connection& c) {
    const time_point now = clock::now();
    const int code = state_.open(c);
    if (code == EAGAIN && state_.settings.where.is_unix()) {
      ++state_.counts.connect_retries;
      return rest(c, backlog_pause);
    }
    if (code != outcome::good) return broken(c, code);
    ++under_way_;
    state_.io.begin(c, stream_++);
    state_.io.start(c, 1, now);
    // On loopback the connection is mostly there by now; else the flush at its first event sends.
    const int sent = state_.io.flush(c);
    if (sent != outcome::good) return end_exchange(c, sent);
    state_.queue.add_connection(c.fd, &c);
  }

  void on_event(connection& c, std::uint32_t events, time_point& now) {
    int code = state_.io.flush(c);
    if (code == outcome::good) code = state_.io.receive(c, events, now);
    // A server that closes right behind its reply has done its part.
    if (c.in_flight == 0) {
      if (now - c.starts[0] > slow_connect) ++state_.counts.slow_connects;
      ++state_.counts.opened;
      return end_exchange(c, outcome::good);
    }
    if (code != outcome::good) end_exchange(c, code);
  }

  void end_exchange(connection& c, int code) {
    --under_way_;
    if (code != outcome::good) return broken(c, code);
    state_.close(c);
    if (!stopping_) open(c);
  }

  void broken(connection& c, int code) {
    if (state_.counts.opened == 0) throw run_failure(describe_connect_failure(state_, code));
    state_.lose(c, code);
    if (!stopping_) rest(c, error_pause);
  }

  // Waits for events and handles them. Returns the time, not older than its last reply.
  time_point batch(time_point deadline) {
    if (resume_at_ && !stopping_) deadline = std::min(deadline, *resume_at_);
    const auto events = state_.queue.wait(deadline);
    time_point now = clock::now();
    for (const epoll_event& event : events) {
      if (event.data.ptr != nullptr) {
        on_event(*static_cast<connection*>(event.data.ptr), event.events, now);
      } else if (state_.parent.stop_requested()) {
        stopped_ = stopping_ = true;
      }
    }
    state_.publish(under_way_);
    return now;
  }

  void drain() {
    const auto patience = stopped_ ? clock::duration(stopped_patience) : drain_patience;
    const time_point end = clock::now() + patience;
    while (under_way_ > 0 && batch(end) < end) {
    }
    if (!stopped_) state_.counts.errors[outcome::unanswered] += under_way_;
    for (connection& c : state_.connections) state_.close(c);
  }

  client_state& state_;
  const time_point start_;
  std::uint64_t under_way_ = 0;
  std::uint64_t stream_ = 0;
  bool stopped_ = false;   // by the parent
  bool stopping_ = false;  // no new exchange begins
  std::vector<connection*> resting_;
  std::optional<time_point> resume_at_;
};

}  // namespace

void run_churn(client_state& state, time_point start) { churn_loop(state, start).run(); }

}  // namespace weft::load
