#include "connection.hpp"

#include <algorithm>
#include <cerrno>
#include <sys/socket.h>

namespace weft::load {

message_io::message_io(const options& settings, const pattern& bytes, tally& counts)
    : pattern_(bytes), tally_(counts), message_bytes_(settings.message_bytes),
      depth_(settings.depth), by_start_(settings.mode == load_mode::open),
      is_tcp_(!settings.where.is_unix()), buffer_(pattern::piece) {}

void message_io::begin(connection& c, std::uint64_t stream) const noexcept {
  c.send_phase = c.receive_phase = pattern::first_phase(stream);
  c.in_flight = c.oldest = c.partial = 0;
  c.unsent = c.awaited = c.round = 0;
}

void message_io::start(connection& c, std::uint32_t count, time_point when) const noexcept {
  std::uint32_t slot = c.oldest + c.in_flight;
  for (std::uint32_t i = 0; i < count; ++i, ++slot) {
    if (slot >= depth_) slot -= depth_;
    c.starts[slot] = when;
  }
  c.in_flight += count;
  c.unsent += std::uint64_t{count} * message_bytes_;
}

int message_io::flush(connection& c) noexcept {
  while (c.unsent > 0) {
    const std::size_t size = std::min<std::uint64_t>(c.unsent, pattern::piece);
    const ssize_t n = ::send(c.fd, pattern_.at(c.send_phase), size, MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN ? outcome::good : errno;
    }
    const std::size_t sent = static_cast<std::size_t>(n);
    c.send_phase = pattern::advance(c.send_phase, sent);
    c.unsent -= sent;
    c.awaited += sent;
    tally_.bytes_sent += sent;
  }
  return outcome::good;
}

int message_io::receive(connection& c, std::uint32_t events, time_point& now) noexcept {
  // A short read proves nothing on a UNIX socket, nor on TCP beside an end, an error or urgent
  // data, and no second edge comes for what it left. Then only an empty socket ends the loop.
  const bool special = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI)) != 0;
  for (;;) {
    const ssize_t n = ::recv(c.fd, buffer_.data(), buffer_.size(), 0);
    if (n <= 0) {
      if (n == 0) return outcome::closed_by_peer;
      if (errno == EINTR) continue;
      return errno == EAGAIN ? outcome::good : errno;
    }
    now = clock::now();
    const std::size_t size = static_cast<std::size_t>(n);
    take(c, size, now);
    const bool drained = size < buffer_.size() && (is_tcp_ || c.awaited == 0);
    if (drained && !special) return outcome::good;
  }
}

void message_io::count_unanswered(const connection& c, time_point now) const noexcept {
  const std::uint64_t unsent = c.unsent / message_bytes_;  // the last ones
  for (std::uint32_t i = 0; i < c.in_flight; ++i) {
    const time_point started = c.starts[(c.oldest + i) % depth_];
    if (!measured.holds(started)) continue;
    tally_.latency.record(now - started);
    ++tally_.unfinished;
    if (i + unsent >= c.in_flight) ++tally_.unsent;
  }
}

void message_io::take(connection& c, std::size_t size, time_point now) noexcept {
  const std::size_t expected = std::min<std::uint64_t>(size, c.awaited);
  tally_.bytes_received += size;
  tally_.corrupt_bytes += size - expected;  // more than was ever sent
  tally_.corrupt_bytes += pattern_.wrong_bytes({buffer_.data(), expected}, c.receive_phase);
  c.receive_phase = pattern::advance(c.receive_phase, expected);
  c.awaited -= expected;
  std::uint64_t have = c.partial + expected;
  while (have >= message_bytes_) {
    have -= message_bytes_;
    complete(c, now);
  }
  c.partial = static_cast<std::uint32_t>(have);
}

void message_io::complete(connection& c, time_point now) noexcept {
  const time_point started = c.starts[c.oldest];
  if (++c.oldest == depth_) c.oldest = 0;
  --c.in_flight;
  ++tally_.messages_total;
  const bool in_time = measured.holds(now);
  if (in_time) ++tally_.completed;
  if (in_time && by_start_ && started < measured.begin) ++tally_.overdue;
  if (by_start_ ? measured.holds(started) : in_time) tally_.latency.record(now - started);
}

}  // namespace weft::load
