#include "interrupt.hpp"

#include <cerrno>
#include <csignal>
#include <sys/signalfd.h>
#include <system_error>
#include <unistd.h>

namespace weft::compare {
namespace {

sigset_t wanted_signals() noexcept {
  sigset_t wanted;
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGINT);
  sigaddset(&wanted, SIGTERM);
  return wanted;
}

}  // namespace

interrupt::interrupt() {
  const sigset_t wanted = wanted_signals();
  if (::sigprocmask(SIG_BLOCK, &wanted, nullptr) != 0 ||
      (fd_ = ::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK)) < 0) {
    throw std::system_error(errno, std::system_category(), "cannot watch for signals");
  }
}

interrupt::~interrupt() { ::close(fd_); }

void interrupt::check() {
  signalfd_siginfo info;
  if (::read(fd_, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    signal_ = static_cast<int>(info.ssi_signo);
  }
  if (signal_ != 0) throw interrupted{};
}

void unblock_signals() noexcept {
  const sigset_t wanted = wanted_signals();
  ::sigprocmask(SIG_UNBLOCK, &wanted, nullptr);
}

}  // namespace weft::compare
