// SIGINT and SIGTERM as a request to stop, for weft::run().
#include <array>
#include <csignal>
#include <cstdio>
#include <sched.h>

#include <weft/fiber/detail/atomic.hpp>
#include <weft/fiber/runtime.hpp>

namespace weft::detail {
namespace {

constexpr std::array<int, 2> stop_signals{SIGINT, SIGTERM};

// The runtime that a signal stops; one at a time. The handler's load pairs with the stores in
// stop_on_signal: it sees a runtime that has been built.
atomic<runtime*> stoppable{nullptr};
// The signal that came, 0 for none. Written by the handler, read by reraise().
atomic<int> stopped_by{0};

// Handlers that may be using the runtime they have found, on whichever threads. Raised before
// `stoppable` is read and looked at after it was cleared, all sequentially consistent: a runtime
// that a handler has found is not gone before the handler is.
atomic<int> handlers_under_way{0};

static_assert(std::atomic<runtime*>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

extern "C" void weft_stop_runtime(int signal);

// Of the signals that we handle, and of no other. From signal handlers too.
void restore_default_actions() noexcept {
  for (const int each : stop_signals) {
    struct sigaction now {};

    ::sigaction(each, nullptr, &now);
    if (now.sa_handler != weft_stop_runtime) continue;
    now.sa_handler = SIG_DFL;
    ::sigaction(each, &now, nullptr);
  }
}

extern "C" void weft_stop_runtime(int signal) {
  handlers_under_way.fetch_add(1, std::memory_order_seq_cst);
  stopped_by.store(signal, std::memory_order_relaxed);
  if (runtime* const target = stoppable.load(std::memory_order_seq_cst)) target->request_stop();
  // The next signal, whichever of them it is, acts as if we were not there.
  restore_default_actions();
  handlers_under_way.fetch_sub(1, std::memory_order_seq_cst);
}

}  // namespace

stop_on_signal::stop_on_signal(runtime& target) {
  runtime* none = nullptr;
  // Pairs with the load in the handler.
  if (!stoppable.compare_exchange_strong(none, &target, std::memory_order_acq_rel)) return;
  installed_ = true;
  stopped_by.store(0, std::memory_order_relaxed);

  struct sigaction ours {};

  ours.sa_handler = weft_stop_runtime;
  ours.sa_flags = SA_RESTART | SA_ONSTACK;  // a fiber may have little left of its own
  for (const int each : stop_signals) {
    struct sigaction before {};

    ::sigaction(each, nullptr, &before);
    // One that is ignored (nohup) or that the program handles itself stays as it is.
    if (before.sa_handler == SIG_DFL) ::sigaction(each, &ours, nullptr);
  }
}

stop_on_signal::~stop_on_signal() {
  if (!installed_) return;
  restore_default_actions();
  stoppable.store(nullptr, std::memory_order_seq_cst);
  while (handlers_under_way.load(std::memory_order_seq_cst) != 0) ::sched_yield();
}

void stop_on_signal::reraise() const noexcept {
  const int signal = stopped_by.load(std::memory_order_relaxed);
  if (!installed_ || signal == 0) return;
  std::fflush(nullptr);

  struct sigaction original {};

  original.sa_handler = SIG_DFL;
  ::sigaction(signal, &original, nullptr);
  ::raise(signal);
}

}  // namespace weft::detail
