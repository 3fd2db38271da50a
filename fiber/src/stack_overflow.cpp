#include "stack_overflow.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include <utility>

#include "registry.hpp"
#include "scheduler.hpp"
#include "stack_memory.hpp"

namespace weft::detail {
namespace {

// ---- what has happened -------------------------------------------------------------------------

std::uintptr_t stack_pointer_at(const ucontext_t& fault) noexcept {
#if defined(__x86_64__)
  return static_cast<std::uintptr_t>(fault.uc_mcontext.gregs[REG_RSP]);
#elif defined(__aarch64__)
  return fault.uc_mcontext.sp;
#else
#error "weft runs on x86-64 and aarch64"
#endif
}

// Whether a fault at `address` with that stack pointer is of a stack that has grown too far, not of
// a wild pointer that happens to hit its guard page.
bool has_overflowed(const stack_bounds& used, std::uintptr_t address,
                    std::uintptr_t stack_pointer) noexcept {
  // What a function may touch below the stack pointer: the red zone of x86-64 (128 bytes), the
  // address that a call pushes, the frame that aarch64 pushes in one instruction (512 bytes).
  constexpr std::uintptr_t below = 1024;
  // Where stacks share a guard, those below may have been run over before.
  const std::uintptr_t shared = used.size * stack_pool::group_size;
  const auto begin = reinterpret_cast<std::uintptr_t>(used.begin);
  const std::uintptr_t end_of_guard = begin + page_size;
  return address < end_of_guard && address + below >= stack_pointer &&
         stack_pointer < end_of_guard + below && stack_pointer + shared > begin;
}

// On the thread of `worker`.
void report_overflow(const scheduler& worker, std::uintptr_t address,
                     std::uintptr_t stack_pointer) noexcept {
  const control_block* const self = worker.current_if_any();
  if (self == nullptr) return;
  const stack_bounds used = worker.stack_in_use();
  if (!has_overflowed(used, address, stack_pointer)) return;
  const char* const name = self->name.text;
  const char* remedy = "raise spawn_options::stack_size, or runtime_options::stack_size for all";
  if (self == &worker.main()) {
    remedy = "it is that of its thread: raise it with `ulimit -s`, or where the thread is made";
  } else if (self->is_coroutine()) {
    remedy = "coroutines run on stacks of runtime_options::stack_size: raise it";
  }
  std::array<char, 512> line;
  const int size = std::snprintf(
      line.data(), line.size(),
      "weft: fiber %s%.100s%s%llu%s has overflowed its stack of %zu KiB, %p to %p; %s\n",
      name != nullptr ? "\"" : "", name != nullptr ? name : "", name != nullptr ? "\" (fiber " : "",
      static_cast<unsigned long long>(self->number()), name != nullptr ? ")" : "", used.size / 1024,
      static_cast<const void*>(used.begin), static_cast<const void*>(used.begin + used.size),
      remedy);
  if (size <= 0) return;
  const auto length = std::min(static_cast<std::size_t>(size), line.size() - 1);
  // Nobody is left to be told when it fails.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), length);
}

// ---- the handler -------------------------------------------------------------------------------

// The action before ours; written before ours is installed.
struct sigaction former {};

bool has_flag(unsigned flag) noexcept {
  return (static_cast<unsigned>(former.sa_flags) & flag) != 0;
}

void act_by_default(int signal) noexcept {
  struct sigaction default_action {};

  default_action.sa_handler = SIG_DFL;
  ::sigaction(signal, &default_action, nullptr);
}

// As the kernel would, but for the stack. When our handler returns the signals are blocked as
// before.
void call_previous(int signal, siginfo_t* info, void* fault) noexcept {
  if (has_flag(SA_RESETHAND)) act_by_default(signal);
  ::pthread_sigmask(SIG_BLOCK, &former.sa_mask, nullptr);
  if (has_flag(SA_NODEFER)) {
    sigset_t only_this;
    ::sigemptyset(&only_this);
    ::sigaddset(&only_this, signal);
    ::pthread_sigmask(SIG_UNBLOCK, &only_this, nullptr);
  }
  if (has_flag(SA_SIGINFO)) {
    former.sa_sigaction(signal, info, fault);
  } else {
    former.sa_handler(signal);
  }
}

// Does what would be done without us.
void pass_on(int signal, siginfo_t* info, void* fault) noexcept {
  const bool has_function =
      has_flag(SA_SIGINFO) || (former.sa_handler != SIG_DFL && former.sa_handler != SIG_IGN);
  if (has_function) return call_previous(signal, info, fault);
  const bool was_sent = info->si_code <= 0;  // by kill(2), and not for a fault
  if (former.sa_handler == SIG_IGN && was_sent) return;
  act_by_default(signal);
  // The instruction faults again once this has returned; but not if the fault was the kernel's own,
  // which has found no room on the stack for another handler.
  if (was_sent || info->si_code == SI_KERNEL) ::raise(signal);
}

extern "C" void weft_on_fault(int signal, siginfo_t* info, void* fault) {
  const int saved_errno = errno;
  const scheduler* const worker = scheduler::running();
  if (worker != nullptr && info->si_code > 0) {
    report_overflow(*worker, reinterpret_cast<std::uintptr_t>(info->si_addr),
                    stack_pointer_at(*static_cast<const ucontext_t*>(fault)));
  }
  pass_on(signal, info, fault);
  errno = saved_errno;
}

// Once. Under a lock that the child of a fork finds free, as it would not the guard of a local
// static.
void install_handler() noexcept {
  static constinit bool was_installed = false;
  const std::lock_guard hold{scheduler_list_lock()};
  if (std::exchange(was_installed, true)) return;

  struct sigaction ours {};

  ours.sa_sigaction = weft_on_fault;
  ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  ::sigemptyset(&ours.sa_mask);
  ::sigaction(SIGSEGV, nullptr, &former);
  ::sigaction(SIGSEGV, &ours, nullptr);
}

// What the kernel saves of the registers, AMX included, and what snprintf() and a handler that was
// there before need.
std::size_t signal_stack_size() noexcept {
  constexpr std::size_t for_handlers = std::size_t{64} * 1024;
  const long registers = ::sysconf(_SC_MINSIGSTKSZ);
  const std::size_t size = for_handlers + (registers > 0 ? static_cast<std::size_t>(registers) : 0);
  return (size + page_size - 1) / page_size * page_size;
}

}  // namespace

overflow_watch::overflow_watch() noexcept {
  install_handler();
  stack_t before{};
  if (::sigaltstack(nullptr, &before) != 0 || (before.ss_flags & SS_DISABLE) == 0) return;
  // With a guard page of its own.
  const std::size_t size = page_size + signal_stack_size();
  std::byte* const memory = map_stacks(size);
  if (memory == nullptr) return;
  stack_t ours{};
  ours.ss_sp = memory + page_size;
  ours.ss_size = size - page_size;
  if (::mprotect(memory, page_size, PROT_NONE) != 0 || ::sigaltstack(&ours, nullptr) != 0) {
    unmap_stacks(memory, size);
    return;
  }
  memory_ = memory;
  size_ = size;
}

overflow_watch::~overflow_watch() {
  if (memory_ == nullptr) return;
  stack_t now{};
  // The program may have put another one in its place.
  if (::sigaltstack(nullptr, &now) == 0 && now.ss_sp == memory_ + page_size) {
    stack_t none{};
    none.ss_flags = SS_DISABLE;
    ::sigaltstack(&none, nullptr);
  }
  unmap_stacks(memory_, size_);
}

}  // namespace weft::detail
