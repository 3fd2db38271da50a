#include "load_server.hpp"

#include <cerrno>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

namespace weft::test {
namespace {

constexpr int backlog = 128;
constexpr std::chrono::seconds watchdog{60};

unique_fd make_wake() {
  unique_fd made(::eventfd(0, EFD_CLOEXEC));
  if (!made) throw std::system_error(errno, std::system_category(), "eventfd");
  return made;
}

void notify(const unique_fd& wake) {
  const std::uint64_t one = 1;
  if (::write(wake.get(), &one, sizeof one) < 0) {
    throw std::system_error(errno, std::system_category(), "write to an eventfd");
  }
}

bool lies_in(std::uint64_t at, std::uint64_t begin, std::size_t size) {
  return at >= begin && at < begin + size;
}

}  // namespace

load_server::load_server(load_faults faults)
    : faults_(faults), listener_(listen_tcp(backlog)),
      address_("127.0.0.1:" + std::to_string(local_port(listener_))), wake_(make_wake()),
      thread_([this] { serve(); }) {}

load_server::load_server(const std::string& path, load_faults faults)
    : faults_(faults), path_(path), listener_(listen_unix(path, backlog)), address_("unix:" + path),
      wake_(make_wake()), thread_([this] { serve(); }) {}

load_server::~load_server() {
  stop_ = true;
  notify(wake_);
  thread_.join();
  if (!path_.empty()) ::unlink(path_.c_str());
}

bool load_server::wait_for_bytes(std::uint64_t count) const {
  const auto deadline = std::chrono::steady_clock::now() + watchdog;
  while (bytes_ < count) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

std::size_t load_server::sources() const {
  const std::lock_guard lock(mutex_);
  return sources_.size();
}

void load_server::drop_connections() {
  drop_ = true;
  notify(wake_);
}

void load_server::serve() {
  while (!stop_) {
    if (drop_.exchange(false)) peers_.clear();
    std::vector<pollfd> sources{{wake_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
    for (const auto& [fd, each] : peers_) sources.push_back({fd, POLLIN, 0});
    if (::poll(sources.data(), sources.size(), -1) < 0) continue;
    if (sources[0].revents != 0) {
      std::uint64_t count = 0;
      [[maybe_unused]] const ssize_t n = ::read(wake_.get(), &count, sizeof count);
    }
    for (std::size_t i = 2; i < sources.size(); ++i) {
      if (sources[i].revents == 0) continue;
      const auto found = peers_.find(sources[i].fd);
      if (!echo(found->second)) peers_.erase(found);
    }
    if (sources[1].revents != 0) accept_connection();
  }
}

void load_server::accept_connection() {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  unique_fd made(
      ::accept4(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size, SOCK_CLOEXEC));
  if (!made) return;  // gone again, or asked for by the next poll
  if (address.ss_family == AF_INET) {
    const std::lock_guard lock(mutex_);
    sources_.insert(reinterpret_cast<const sockaddr_in*>(&address)->sin_addr.s_addr);
  }
  const int fd = made.get();
  peers_.emplace(fd, peer{std::move(made), accepted_++, 0});
}

// Returns false when the connection is at its end.
bool load_server::echo(peer& from) {
  char buffer[65536];
  const ssize_t n = ::recv(from.socket.get(), buffer, sizeof buffer, MSG_DONTWAIT);
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  if (n == 0) return false;
  const std::size_t size = static_cast<std::size_t>(n);
  bytes_ += size;
  const bool concerned = from.number == faults_.connection;
  if (concerned && lies_in(faults_.close_at, from.offset, size)) return false;
  if (concerned && lies_in(faults_.stall_at, from.offset, size)) {
    std::this_thread::sleep_for(faults_.stall);  // the fault itself, nothing waits for it
  }
  try {
    send_all(answer_to(from), with_faults(from, std::string(buffer, size)));
  } catch (const std::system_error&) {
    return false;  // the client has gone
  }
  from.offset += size;
  return true;
}

std::string load_server::with_faults(const peer& from, std::string data) const {
  if (from.number != faults_.connection) return data;
  const std::size_t size = data.size();
  if (lies_in(faults_.flip_at, from.offset, size)) data[faults_.flip_at - from.offset] ^= 0x10;
  if (lies_in(faults_.swallow_at, from.offset, size)) {
    data.erase(faults_.swallow_at - from.offset, 1);
  }
  if (lies_in(faults_.double_at, from.offset, size)) {
    const std::size_t at = faults_.double_at - from.offset;
    data.insert(at, 1, data[at]);
  }
  return data;
}

const unique_fd& load_server::answer_to(const peer& from) const {
  if (from.number > 1 || from.offset < faults_.swap_from) return from.socket;
  for (const auto& [fd, each] : peers_) {
    if (each.number == 1 - from.number) return each.socket;
  }
  return from.socket;
}

}  // namespace weft::test
