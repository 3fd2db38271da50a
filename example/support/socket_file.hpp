// The file of a UNIX socket: whether somebody still listens behind it, and its removal.
//
// Plain POSIX. Threads: any.
#pragma once

#include <cerrno>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace example {

/// Tells whether the file that `address` names is a socket on which nobody listens any more, left
/// over from a server that was killed.
inline bool is_stale_socket(const sockaddr_un& address) {
  struct stat status {};

  if (::lstat(address.sun_path, &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (probe < 0) return false;
  const bool refused =
      ::connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
      errno == ECONNREFUSED;
  ::close(probe);
  return refused;
}

/// The file of a server's own socket, which it removes when it ends.
class socket_file {
public:
  /// Notes which file `path` is now; an empty path is none.
  explicit socket_file(std::string path) : path_{std::move(path)} {
    if (path_.empty() || ::lstat(path_.c_str(), &own_) != 0) path_.clear();
  }

  /// Removes it, unless another server has put its own in that place.
  void remove() const {
    struct stat now {};

    if (!path_.empty() && ::lstat(path_.c_str(), &now) == 0 && now.st_dev == own_.st_dev &&
        now.st_ino == own_.st_ino) {
      ::unlink(path_.c_str());
    }
  }

private:
  std::string path_;

  struct stat own_ {};
};

}  // namespace example
