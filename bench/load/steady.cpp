#include "steady.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <sys/prctl.h>

#include "farewell.hpp"
#include "pacing.hpp"

namespace weft::load {
namespace {

using namespace std::chrono_literals;

constexpr auto late = 1ms;                // a start further behind its intended time is counted
constexpr auto catch_up = 1s;             // how long due messages are still started after the end
constexpr auto drain_patience = 3s;       // without any reply at all
constexpr auto drain_limit = 30s;         // even with replies
constexpr auto stopped_patience = 300ms;  // of both, once the user wants an end
constexpr int visits_at_once = 64;        // connections visited, at most, between two batches

class steady_loop {
public:
  steady_loop(client_state& state, time_point start)
      : state_(state), io_(state.io), start_(start), alive_(state.connections.size()),
        meter_(state.settings) {
    io_.measured.begin = start + state.settings.warm_up;
    io_.measured.end = io_.measured.begin + state.settings.duration;
    send_until_ = io_.measured.end;
    const share& mine = state.mine;
    if (state.settings.mode != load_mode::open) return;
    pacer_.emplace(state.settings.rate, state.settings.connections, mine.first, mine.count, start);
    // Without it the kernel may round every wait up by 50 us.
    ::prctl(PR_SET_TIMERSLACK, 1);
  }

  void run() {
    wait_for_start();
    load();
    cut_off();
    drain();
    if (pacer_) count_unfinished(clock::now());
    say_farewell(state_, stopped_ ? stopped_patience : 1s);
    state_.publish(alive_);
  }

private:
  void wait_for_start() {
    while (!stopped_ && clock::now() < start_) batch(start_);
    if (pacer_) return;
    for (connection& c : state_.connections) {
      if (c.fd >= 0) refill(c, clock::now());
    }
  }

  void load() {
    while (!stopped_ && alive_ > 0) {
      time_point deadline = meter_.begun() ? io_.measured.end : io_.measured.begin;
      if (pacer_) deadline = std::min(deadline, pacer_->next_time());
      const time_point now = batch(deadline);
      meter_.watch(io_.measured, now);
      if (now >= io_.measured.end) break;
      if (pacer_) pace(now);
    }
  }

  // Ends the measured time: as planned, or now when the load ended early.
  void cut_off() {
    const time_point now = clock::now();
    send_until_ = pacer_ && !stopped_ ? now + catch_up : time_point::min();
    meter_.end(state_.counts);
    io_.measured.end = std::min(now, io_.measured.end);
    state_.counts.measured =
        std::max(io_.measured.end - io_.measured.begin, clock::duration::zero());
  }

  void drain() {
    const time_point end = clock::now() + drain_limit;
    time_point last_reply = clock::now();
    std::uint64_t replies = state_.counts.messages_total;
    for (time_point now = clock::now(); in_flight() > 0 || has_due(now);) {
      const auto patience = stopped_ ? clock::duration(stopped_patience) : drain_patience;
      now = batch(has_due(now) ? now : std::min(last_reply + patience, end));
      if (has_due(now)) pace(now);
      if (state_.counts.messages_total != replies) last_reply = now;
      replies = state_.counts.messages_total;
      if (now >= last_reply + patience || now >= end) break;
    }
    if (stopped_) return;  // the user did not want to wait for these
    state_.counts.errors[outcome::unanswered] += in_flight();
  }

  // Tells whether connections may have messages to start after the measured time.
  bool has_due(time_point now) const noexcept {
    return pacer_ && alive_ > 0 && now < send_until_ && pacer_->next_time() < io_.measured.end;
  }

  // Adds the messages that were due in the measured time and did not come back: with the time for
  // which they were waited for, so that the worst are not missing in the percentiles.
  void count_unfinished(time_point now) {
    tally& counts = state_.counts;
    const time_point sending_ended = std::min(now, std::max(send_until_, io_.measured.end));
    for (std::uint32_t index = 0; index < state_.connections.size(); ++index) {
      const connection& c = state_.connections[index];
      io_.count_unanswered(c, now);
      const std::uint64_t first =
          std::max(c.round, pacer_->rounds_before(index, io_.measured.begin));
      const std::uint64_t end = pacer_->rounds_before(index, io_.measured.end);
      if (first >= end) continue;
      counts.latency.record_evenly(sending_ended - pacer_->intended(index, first), pacer_->period(),
                                   end - first);
      counts.unfinished += end - first;
      counts.unsent += end - first;
    }
    counts.intended = counts.latency.count();
  }

  std::uint64_t in_flight() const noexcept {
    std::uint64_t sum = 0;
    for (const connection& c : state_.connections) sum += c.fd >= 0 ? c.in_flight : 0;
    return sum;
  }

  // Waits for events and handles them. Returns the time, not older than its last reply.
  time_point batch(time_point deadline) {
    const auto events = state_.queue.wait(deadline);
    time_point now = clock::now();
    for (const epoll_event& event : events) {
      if (event.data.ptr != nullptr) {
        on_event(*static_cast<connection*>(event.data.ptr), event.events, now);
      } else if (state_.parent.stop_requested()) {
        stopped_ = true;
        send_until_ = time_point::min();
      }
    }
    state_.publish(alive_);
    return now;
  }

  void on_event(connection& c, std::uint32_t events, time_point& now) {
    if (c.fd < 0) return;
    if ((events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) {
      const int code = io_.receive(c, events, now);
      if (code != outcome::good) return lose(c, code);
    }
    refill(c, now);
  }

  // Starts what may start on `c`, and sends.
  void refill(connection& c, time_point now) {
    const std::uint32_t room = state_.settings.depth - c.in_flight;
    if (room > 0 && now < send_until_) {
      if (pacer_) {
        start_due(c, room, now);
      } else {
        io_.start(c, room, now);
      }
    }
    const int code = io_.flush(c);
    if (code != outcome::good) lose(c, code);
  }

  void start_due(connection& c, std::uint32_t room, time_point now) {
    const auto index = static_cast<std::uint32_t>(&c - state_.connections.data());
    const std::uint64_t due = pacer_->rounds_due(index);
    for (; room > 0 && c.round < due; --room, ++c.round) {
      const time_point intended = pacer_->intended(index, c.round);
      if (now - intended > late && io_.measured.holds(intended)) ++state_.counts.late_starts;
      io_.start(c, 1, intended);
    }
  }

  // Starts what has become due. What is too much for once stays due, so that replies are read and
  // the end of the run is seen however far behind the loop is.
  void pace(time_point now) {
    const time_point until = std::min(now + 1ns, io_.measured.end);
    pacer_->skip_rounds(until);
    for (int visits = 0; visits < visits_at_once && pacer_->next_time() < until; ++visits) {
      const std::uint32_t index = pacer_->next_index();
      pacer_->advance();
      connection& c = state_.connections[index];
      if (c.fd >= 0) refill(c, now);
    }
  }

  void lose(connection& c, int code) {
    state_.lose(c, code);
    --alive_;
  }

  client_state& state_;
  message_io& io_;
  const time_point start_;
  std::uint64_t alive_;
  bool stopped_ = false;
  time_point send_until_;
  std::optional<pacer> pacer_;
  cpu_meter meter_;
};

}  // namespace

void run_steady(client_state& state, time_point start) { steady_loop(state, start).run(); }

}  // namespace weft::load
