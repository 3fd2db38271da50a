#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <unistd.h>

#include <weft/tools/standard_streams.hpp>

namespace weft::tools {

void occupy_closed_streams(closed_output what) noexcept {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    // A write to what is open for reading alone fails with EBADF, as one to a closed descriptor.
    const bool fails = fd == STDOUT_FILENO && what == closed_output::fails;
    ::open("/dev/null", fails ? O_RDONLY : O_RDWR);  // gets `fd`, the lowest number that is free
  }
}

bool write_out(const std::string& text) noexcept {
  return std::fputs(text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0;
}

}  // namespace weft::tools
