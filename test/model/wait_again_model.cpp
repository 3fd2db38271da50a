// A wait that a waker has ended, and a cancellation before the task runs on: it then waits again,
// in the same operation, which looks at the scopes no more. Each wait ends for one reason, and the
// second one because it was cancelled, for nothing else will end it.
#include <atomic>

#include <weft/fiber.hpp>
#include <weft/fiber/detail/wait.hpp>

#include "models.hpp"
#include "tasks.hpp"

namespace weft::model {
namespace {

using detail::cancellation;
using detail::wake_reason;

struct waits {
  detail::wait_queue queue;
  std::atomic<int> ready{0};  // waits in `queue` that were woken
  std::atomic<int> woken{0};  // waits in `queue` that the waker has ended
  event scope_known;
  event scope_done;  // whoever cancels it has done so
  event later;
  cancel_scope* scope = nullptr;
};

wake_reason wait_in(waits& shared) {
  shared.queue.lock.lock();
  return detail::wait(shared.queue.list, shared.queue.lock, detail::no_deadline,
                      cancellation::honoured);
}

// As an operation that is woken and finds that it has to wait on.
void wait_until_cancelled(waits& shared) {
  cancel_scope mine;
  shared.scope = &mine;
  shared.scope_known.set();
  if (!detail::refuse_if_cancelled()) {
    wake_reason reason = wait_in(shared);
    if (reason == wake_reason::ready) {
      ++shared.ready;
      reason = wait_in(shared);
    }
    check(reason == wake_reason::cancelled, "a wait that nothing else ends is cancelled");
  }
  check(mine.cancel_requested(), "a wait ends for a reason that there was");
  const shield apart;
  shared.scope_done.wait();
}

void wait_and_go_on(waits& shared) {
  wait_until_cancelled(shared);
  shared.later.wait();
  check(shared.later.is_set(), "a wake-up does not come to a later wait");
}

void wake_once(waits& shared) { shared.woken += shared.queue.wake_one(wake_reason::ready) ? 1 : 0; }

void cancel(waits& shared) {
  shared.scope_known.wait();
  shared.scope->request_cancel();
  shared.scope_done.set();
}

void check_in_the_end(waits& shared) {
  check(shared.ready == shared.woken, "as many were woken as the waker has ended waits");
  check(shared.queue.empty(), "no wait stays published");
}

// A task, whose thread calls `run` with what it does, among one that wakes and one that cancels.
template <class Run>
void explore(execution& threads, const char* task, Run run) {
  waits shared;
  threads.thread(task, [&] { run([&] { wait_and_go_on(shared); }); });
  threads.thread("waker", [&] {
    wake_once(shared);
    shared.later.set();
  });
  threads.thread("canceller", [&] { cancel(shared); });

  threads.go();

  check_in_the_end(shared);
}

}  // namespace

void wait_again_of_fiber_model(execution& threads) {
  explore(threads, "fiber", [](auto body) { in_fiber(body); });
}

void wait_again_of_thread_model(execution& threads) {
  explore(threads, "thread", [](auto body) { body(); });
}

// The worker itself cancels what a thread has woken, or wakes what a thread has cancelled.
void wait_again_of_one_worker_model(execution& threads) {
  waits first;
  waits second;
  threads.thread("worker", [&] {
    in_fiber([&] {
      fiber<void> cancelled_here = spawn([&] { wait_and_go_on(first); });
      fiber<void> woken_here = spawn([&] { wait_and_go_on(second); });
      this_fiber::yield();
      wake_once(second);
      cancel(first);
      cancelled_here.join();
      woken_here.join();
    });
  });
  threads.thread("other", [&] {
    wake_once(first);
    first.later.set();
    cancel(second);
    second.later.set();
  });

  threads.go();

  check_in_the_end(first);
  check_in_the_end(second);
}

}  // namespace weft::model
