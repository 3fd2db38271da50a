#include <algorithm>
#include <chrono>
#include <mutex>
#include <netinet/in.h>
#include <new>
#include <poll.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

#include <weft/fiber/clock.hpp>
#include <weft/fiber/diagnostics.hpp>
#include <weft/fiber/error.hpp>
#include <weft/net/listener.hpp>

#include "descriptor_io.hpp"
#include "descriptor_shortage.hpp"
#include "native_socket.hpp"

namespace weft::net {

using detail::check_result;
using detail::throw_if;

namespace {

using namespace std::chrono_literals;

// Errors of one connection, not of the listener (man 2 accept, "Error handling").
bool is_lost_connection(int error) noexcept {
  switch (error) {
  case ECONNABORTED:
  case EPROTO:
  case ENETDOWN:
  case ENOPROTOOPT:
  case EHOSTDOWN:
  case ENONET:
  case EHOSTUNREACH:
  case ENETUNREACH:
  case ETIMEDOUT:
  case EPERM: return true;
  default: return false;
  }
}

bool is_shortage(int error) noexcept {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

std::string describe_trouble(int error) {
  return "accept: " + std::system_category().message(error) +
         detail::limit_behind({error, std::system_category()}) + "; going on as soon as possible";
}

// The pauses of one accept() that fails again and again, longer and longer.
class accept_back_off {
public:
  // Says what the trouble is, unless that was said a moment ago, and waits for a descriptor to be
  // closed, at most for the length of the pause.
  void pause(int error, std::error_code& ec) {
    const auto deadline = begin(error);
    end(detail::shortage_of_descriptors.wait(deadline), ec);
  }

  // The same for a coroutine.
  co::task<> co_pause(int error, std::error_code& ec) {
    const auto deadline = begin(error);
    end(co_await detail::shortage_of_descriptors.co_wait(deadline), ec);
  }

private:
  // Returns until when to wait.
  weft::detail::deadline_clock::time_point begin(int error) {
    if (detail::accept_reports::of_this_thread().is_due(error)) report(error);
    return weft::clock::now() + std::exchange(length_, std::min(2 * length_, 1'000ms));
  }

  static void report(int error) noexcept {
    try {
      weft::diagnose(describe_trouble(error));
    } catch (const std::bad_alloc&) {
      weft::diagnose("accept: out of memory, for the error too; going on as soon as possible");
    }
  }

  static void end(weft::detail::wake_reason reason, std::error_code& ec) noexcept {
    ec.clear();
    if (reason != weft::detail::wake_reason::timed_out) ec = weft::detail::error_of(reason);
  }

  std::chrono::milliseconds length_ = 10ms;
};

// Errors of adopting the connection are shortages too, in the generic category.
bool will_pass(std::error_code ec) noexcept {
  const bool is_errno =
      ec.category() == std::system_category() || ec.category() == std::generic_category();
  return is_errno && (is_lost_connection(ec.value()) || is_shortage(ec.value()));
}

// Whether an accept(2) of `fd` would not say EAGAIN. It says that only after it has made a socket
// and thrown it away, at nine times the price of this.
bool has_connection(int fd) noexcept {
  pollfd one{fd, POLLIN, 0};
  return ::poll(&one, 1, 0) != 0;
}

// Whether the address is a file: neither without a name nor abstract, which begins with a NUL.
bool has_socket_file(const endpoint& local) noexcept {
  return !local.path().empty() && local.path()[0] != '\0';
}

// Whether a UNIX socket file is left over from a listener that is gone.
bool is_stale(const endpoint& local) {
  struct stat status {};

  const std::string path{local.path()};
  if (!has_socket_file(local) || ::lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) {
    return false;
  }
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (probe < 0) return false;
  const bool refused =
      ::connect(probe, local.native(), local.native_size()) != 0 && errno == ECONNREFUSED;
  ::close(probe);
  return refused;
}

std::error_code bind_to(const detail::descriptor& target, const endpoint& local) {
  const auto bind = [&] {
    return check_result(::bind(target.fd(), local.native(), local.native_size()));
  };
  std::error_code ec = bind();
  if (ec == std::errc::address_in_use && local.is_unix() && is_stale(local)) {
    ::unlink(std::string{local.path()}.c_str());
    ec = bind();
  }
  return ec;
}

}  // namespace

// Before the file is there, for what follows must not fail for want of memory.
listener::socket_file listener::socket_file::to_be(const endpoint& local) {
  if (!has_socket_file(local)) return {};
  return {std::string{local.path()}, 0, 0};
}

// Once it is there: it is known again by these.
std::error_code listener::socket_file::recognise() noexcept {
  struct stat status {};

  if (path.empty()) return {};
  if (::lstat(path.c_str(), &status) == 0) {
    device = status.st_dev;
    inode = status.st_ino;
    return {};
  }
  const std::error_code ec = detail::system_error_code(errno);
  if (errno != ENOENT) ::unlink(path.c_str());  // just made, and by us
  path.clear();
  if (ec == std::errc::no_such_file_or_directory) return {};  // removed by another already
  return ec;
}

void listener::socket_file::remove() noexcept {
  struct stat status {};

  if (!path.empty() && ::lstat(path.c_str(), &status) == 0 && status.st_dev == device &&
      status.st_ino == inode) {
    ::unlink(path.c_str());
  }
  path.clear();
}

listener listener::listen(const endpoint& local, const listen_options& options,
                          std::error_code& ec) {
  listener result;
  result.descriptor_ = detail::open_socket(local.family(), SOCK_STREAM, ec);
  if (ec) return {};
  const auto set = [&](int level, int name, bool on) {
    if (!ec) detail::set_option(result.descriptor_, level, name, on ? 1 : 0, ec);
  };
  if (!local.is_unix()) set(SOL_SOCKET, SO_REUSEADDR, true);
  if (options.reuse_port) set(SOL_SOCKET, SO_REUSEPORT, true);
  if (local.is_v6()) set(IPPROTO_IPV6, IPV6_V6ONLY, options.v6_only);
  socket_file file = socket_file::to_be(local);
  if (!ec) ec = bind_to(result.descriptor_, local);
  if (!ec) ec = file.recognise();
  if (!ec) result.file_ = std::move(file);
  if (!ec) ec = check_result(::listen(result.native_handle(), options.backlog));
  if (ec) return {};
  return result;
}

listener::listener(const endpoint& local, const listen_options& options) {
  std::error_code ec;
  *this = listen(local, options, ec);
  if (ec) detail::throw_error(ec, "listen on " + local.to_string());
}

listener::listener(listener&& other) noexcept
    : basic_socket(std::move(other.descriptor_)), file_(std::exchange(other.file_, {})) {}

listener& listener::operator=(listener&& other) noexcept {
  if (this != &other) {
    close();
    descriptor_ = std::move(other.descriptor_);
    file_ = std::exchange(other.file_, {});
  }
  return *this;
}

void listener::close() noexcept {
  socket_file file;
  {
    const std::lock_guard hold{file_lock_};
    file = std::exchange(file_, {});
  }
  file.remove();
  descriptor_.close();
}

namespace {

// Where the address of a peer goes; nowhere if `bytes` is null.
struct address_space {
  sockaddr* bytes;
  socklen_t* size;
  const socklen_t capacity = size != nullptr ? *size : 0;
};

// One accept4(2), or -1 and EAGAIN if none is needed to know that.
int accept_once(const detail::io_turn& turn, const address_space& peer) noexcept {
  if (!turn.has_waited() && !has_connection(turn.fd())) {
    errno = EAGAIN;
    return -1;
  }
  if (peer.size != nullptr) *peer.size = peer.capacity;
  return ::accept4(turn.fd(), peer.bytes, peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

// Takes over what accept4(2) has returned.
detail::descriptor adopt_accepted(std::ptrdiff_t fd, bool tcp, std::error_code& ec) noexcept {
  detail::descriptor accepted = detail::descriptor::adopt(static_cast<int>(fd), tcp, ec);
  if (ec) ::close(static_cast<int>(fd));
  return accepted;
}

}  // namespace

socket listener::accept_into(sockaddr* address, socklen_t* size, std::error_code& ec) {
  detail::descriptor accepted;
  {
    detail::io_turn turn{descriptor_, detail::direction::read, ec};
    if (!turn) return {};
    // Before connections take the descriptors that it needs: nobody could wait for those then.
    if (weft::detail::on_worker() && detail::poller::of_this_worker(ec) == nullptr) return {};
    const bool tcp = turn.record().is_tcp_stream();
    const address_space peer{address, size};
    accept_back_off back_off;
    while (!accepted.is_open()) {
      const std::ptrdiff_t fd = detail::retry_when_ready(
          turn, [&] { return accept_once(turn, peer); }, ec);
      if (fd >= 0) accepted = adopt_accepted(fd, tcp, ec);
      if (ec && will_pass(ec)) {
        turn.step_aside();
        back_off.pause(ec.value(), ec);
        turn.may_try(ec);
      }
      if (ec) return {};
    }
  }
  return socket{std::move(accepted)};
}

socket listener::accept(std::error_code& ec) { return accept_into(nullptr, nullptr, ec); }

socket listener::accept(endpoint& peer, std::error_code& ec) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  socket result = accept_into(reinterpret_cast<sockaddr*>(&address), &size, ec);
  if (!ec) peer = endpoint::from_native(reinterpret_cast<const sockaddr*>(&address), size, ec);
  return result;
}

socket listener::accept() {
  std::error_code ec;
  socket result = accept(ec);
  throw_if(ec, "listener::accept");
  return result;
}

socket listener::accept(endpoint& peer) {
  std::error_code ec;
  socket result = accept(peer, ec);
  throw_if(ec, "listener::accept");
  return result;
}

// ---- for coroutines ----------------------------------------------------------------------------

co::task<socket> listener::co_accept_into(sockaddr* address, socklen_t* size, std::error_code& ec) {
  detail::descriptor accepted;
  {
    detail::io_turn turn{descriptor_, detail::direction::read};
    bool goes_on = co_await detail::co_turn{turn, ec};
    // As in accept_into().
    if (goes_on) goes_on = detail::poller::of_this_worker(ec) != nullptr;
    const bool tcp = goes_on && turn.record().is_tcp_stream();
    const address_space peer{address, size};
    accept_back_off back_off;
    while (goes_on && !accepted.is_open()) {
      std::ptrdiff_t fd = -1;
      while (fd < 0 && co_await detail::co_ready{turn, ec}) {
        fd = accept_once(turn, peer);
        if (fd >= 0 || errno == EINTR) continue;
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
          turn.not_ready();
        } else {
          ec = detail::system_error_code(errno);
          break;
        }
      }
      if (fd >= 0) accepted = adopt_accepted(fd, tcp, ec);
      if (ec && will_pass(ec)) {
        turn.step_aside();
        co_await back_off.co_pause(ec.value(), ec);
        turn.co_may_try(ec);
      }
      goes_on = !ec;
    }
  }
  co_await weft::detail::co_budget{};
  co_return socket{std::move(accepted)};
}

co::task<socket> listener::co_accept(std::error_code& ec) {
  return co_accept_into(nullptr, nullptr, ec);
}

co::task<socket> listener::co_accept(endpoint& peer, std::error_code& ec) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  socket result = co_await co_accept_into(reinterpret_cast<sockaddr*>(&address), &size, ec);
  if (!ec) peer = endpoint::from_native(reinterpret_cast<const sockaddr*>(&address), size, ec);
  co_return std::move(result);
}

co::task<socket> listener::co_accept() {
  std::error_code ec;
  socket result = co_await co_accept(ec);
  throw_if(ec, "listener::accept");
  co_return std::move(result);
}

co::task<socket> listener::co_accept(endpoint& peer) {
  std::error_code ec;
  socket result = co_await co_accept(peer, ec);
  throw_if(ec, "listener::accept");
  co_return std::move(result);
}

}  // namespace weft::net
