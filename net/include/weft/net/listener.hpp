// A listening socket: accepts connections, and goes on doing so when descriptors run out.
//
// A wait also ends with errc::timed_out when a weft::timeout around it expires.
// Threads: fibers of one runtime, on whichever of its workers; several may accept at once and are
// served in the order in which they came. Closing it, which any of them may do, or destroying it
// ends their waits with errc::closed.
#pragma once

#include <string>
#include <sys/socket.h>
#include <sys/types.h>
#include <system_error>

#include <weft/fiber/detail/spin_lock.hpp>
#include <weft/net/basic_socket.hpp>
#include <weft/net/endpoint.hpp>
#include <weft/net/socket.hpp>

namespace weft::net {

struct listen_options {
  /// Connections that the kernel completes before they are accepted; capped by net.core.somaxconn.
  int backlog = SOMAXCONN;
  /// Lets several listeners share the address, the kernel spreading connections (SO_REUSEPORT).
  bool reuse_port = false;
  /// Keeps IPv4 peers from an IPv6 listener on any address (IPV6_V6ONLY).
  bool v6_only = false;
};

class listener : public basic_socket {
public:
  /// A closed listener.
  listener() noexcept = default;
  /// Listens at `local`; port 0 takes a free one, see local_endpoint(). A socket file that nobody
  /// listens on any more is replaced. close() removes the file, unless another took its place.
  ///
  /// Errors: errno of socket(2), bind(2), listen(2) and, of the file, lstat(2), for example
  /// std::errc::address_in_use, with
  ///         the address in what().
  explicit listener(const endpoint& local, const listen_options& options = {});
  static listener listen(const endpoint& local, const listen_options& options, std::error_code& ec);
  listener(listener&& other) noexcept;
  listener& operator=(listener&& other) noexcept;

  ~listener() { close(); }

  /// Accepts the next connection; `peer` becomes its address.
  ///
  /// When descriptors or memory run out (EMFILE, ENFILE, ENOBUFS, ENOMEM), says so in one line on
  /// the diagnostics sink, and tries again after a pause and whenever a descriptor is closed;
  /// connections that failed before they could be accepted (ECONNABORTED and the network errors of
  /// man 2 accept) are passed over in the same way.
  ///
  /// Waits:  for a connection.
  /// Ends:   when the fiber is cancelled or the listener is closed.
  /// Errors: errc::cancelled, errc::closed; std::errc::not_enough_memory or errno of
  ///         epoll_create1(2), eventfd(2) and epoll_ctl(2) where the worker cannot begin to wait
  ///         for descriptors; else errno of accept(2).
  socket accept(endpoint& peer, std::error_code& ec);
  socket accept(std::error_code& ec);
  /// The same; throws std::system_error where the overload above sets `ec`.
  socket accept(endpoint& peer);
  socket accept();

  /// The same for coroutines.
  co::task<socket> co_accept(endpoint& peer, std::error_code& ec);
  co::task<socket> co_accept(std::error_code& ec);
  co::task<socket> co_accept(endpoint& peer);
  co::task<socket> co_accept();

  /// Stops listening; connections not yet accepted are reset. Never waits.
  void close() noexcept;

private:
  // The file of a UNIX socket, without a path if there is none.
  struct socket_file {
    std::string path;
    dev_t device = 0;
    ino_t inode = 0;

    static socket_file to_be(const endpoint& local);
    std::error_code recognise() noexcept;
    void remove() noexcept;
  };

  socket accept_into(sockaddr* address, socklen_t* size, std::error_code& ec);
  co::task<socket> co_accept_into(sockaddr* address, socklen_t* size, std::error_code& ec);

  weft::detail::spin_lock file_lock_;
  socket_file file_;  // to be removed by the first close(); guarded by `file_lock_`
};

}  // namespace weft::net
