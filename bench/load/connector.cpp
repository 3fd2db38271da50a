#include "connector.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>

#include <fmt/format.h>

namespace weft::load {
namespace {

using namespace std::chrono_literals;

// Below the 128 that is the usual smallest listen backlog.
constexpr std::uint32_t waiting_at_once = 120;
constexpr auto patience = 20s;        // without any reply at all
constexpr auto slow_connect = 500ms;  // the kernel sends a lost SYN again after a second
constexpr auto backlog_pause = 1ms;   // UNIX sockets do not tell when the backlog has room again

class connector {
public:
  explicit connector(client_state& state)
      : state_(state), limit_(std::max(waiting_at_once / state.settings.clients, 4u)),
        began_(clock::now()), last_reply_(began_) {}

  bool run() {
    const std::uint32_t all = state_.mine.count;
    // The first exchanges are all that an idle load measures.
    if (state_.settings.mode == load_mode::idle) state_.io.measured.begin = began_;
    while (answered_ < all) {
      while (opened_ < all && opened_ - answered_ < limit_ && open_next()) {
      }
      for (const epoll_event& event : state_.queue.wait(deadline())) {
        if (event.data.ptr != nullptr) {
          on_event(*static_cast<connection*>(event.data.ptr), event.events);
        } else if (state_.parent.stop_requested()) {
          return false;
        }
      }
      state_.publish(answered_);
      if (clock::now() - last_reply_ > patience) give_up();
    }
    state_.counts.connect_time = last_reply_ - began_;
    return true;
  }

private:
  // Returns false when the next one has to wait.
  bool open_next() {
    if (resume_at_ && clock::now() < *resume_at_) return false;
    resume_at_.reset();
    connection& c = state_.connections[opened_];
    const time_point now = clock::now();
    const int code = state_.open(c);
    if (code == EAGAIN && state_.settings.where.is_unix()) {
      ++state_.counts.connect_retries;
      resume_at_ = now + backlog_pause;
      return false;
    }
    check(code);
    state_.io.begin(c, state_.mine.first + opened_);
    state_.io.start(c, 1, now);
    check(state_.io.flush(c));
    state_.queue.add_connection(c.fd, &c);
    ++opened_;
    return true;
  }

  void on_event(connection& c, std::uint32_t events) {
    const bool was_answered = c.in_flight == 0;
    time_point now = last_reply_;
    check(state_.io.flush(c));
    check(state_.io.receive(c, events, now));
    if (was_answered || c.in_flight > 0) return;
    ++answered_;
    ++state_.counts.opened;
    last_reply_ = now;
    if (now - c.starts[0] <= slow_connect) return;
    ++state_.counts.slow_connects;
    limit_ = std::max(limit_ / 2, 1u);  // the server's backlog is shorter than was thought
  }

  void check(int code) const {
    if (code != outcome::good) throw run_failure(describe_connect_failure(state_, code));
  }

  time_point deadline() const {
    const time_point end = last_reply_ + patience + 1ms;
    return resume_at_ ? std::min(*resume_at_, end) : end;
  }

  [[noreturn]] void give_up() const {
    const char* hint = state_.counts.slow_connects > 0 ? "; is its listen backlog too short?" : "";
    throw run_failure(fmt::format(
        "{} sent no reply for {} s; of this client's {} connections {} had got their first one{}",
        state_.settings.where.text(), patience.count(), state_.mine.count, answered_, hint));
  }

  client_state& state_;
  std::uint32_t limit_;  // connections that wait for their first reply
  std::uint32_t opened_ = 0;
  std::uint32_t answered_ = 0;
  const time_point began_;
  time_point last_reply_;
  std::optional<time_point> resume_at_;
};

}  // namespace

bool connect_all(client_state& state) { return connector(state).run(); }

std::string describe_connect_failure(const client_state& state, int code) {
  const std::string& where = state.settings.where.text();
  const std::string after =
      state.counts.opened > 0 ? fmt::format(" (after {} connections)", state.counts.opened) : "";
  if (code == outcome::closed_by_peer || code == ECONNRESET || code == EPIPE) {
    return fmt::format("{} closed a connection before the load began{}", where, after);
  }
  if (code == EADDRNOTAVAIL) {
    return fmt::format("no local port is left for a connection to {}{}: see "
                       "net.ipv4.ip_local_port_range, or use a target in 127.0.0.0/8",
                       where, after);
  }
  if (code == EMFILE || code == ENFILE) {
    return fmt::format("no file descriptor is left for a connection to {}{}: {}", where, after,
                       code == EMFILE ? "see ulimit -n" : "see fs.file-max");
  }
  return fmt::format("cannot connect to {}: {}{}", where, std::strerror(code), after);
}

}  // namespace weft::load
