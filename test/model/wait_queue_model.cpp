// Waits with deadlines in a queue, and wake_one(): who is woken has waited, who timed out takes no
// wake-up with it, and none comes to the wait that follows.
#include <atomic>

#include <weft/fiber.hpp>
#include <weft/fiber/detail/wait.hpp>

#include "models.hpp"
#include "tasks.hpp"

namespace weft::model {
namespace {

using detail::wake_reason;

struct queues {
  detail::wait_queue queue;
  std::atomic<int> ready{0};  // waits in `queue` that were woken
  std::atomic<int> woken{0};  // waits in `queue` that wakers have ended
  detail::wait_queue later;
  bool open = false;  // guarded by later.lock
};

void wait_for_later(queues& shared) {
  shared.later.lock.lock();
  while (!shared.open) {
    const wake_reason reason = detail::wait(shared.later.list, shared.later.lock,
                                            detail::no_deadline, detail::cancellation::ignored);
    check(reason == wake_reason::ready, "a wait ends for a reason that there was");
    shared.later.lock.lock();
    check(shared.open, "a wake-up does not come to a later wait");
  }
  shared.later.lock.unlock();
}

void wait_twice(queues& shared) {
  const wake_reason reason = detail::wait(shared.queue, soon());
  check(reason == wake_reason::ready || reason == wake_reason::timed_out,
        "a wait ends for a reason that there was");
  if (reason == wake_reason::ready) ++shared.ready;
  wait_for_later(shared);
}

void wake_all_of(queues& shared) {
  for (int i = 0; i < 2; ++i) shared.woken += shared.queue.wake_one(wake_reason::ready) ? 1 : 0;
  shared.later.lock.lock();
  shared.open = true;
  shared.later.lock.unlock();
  shared.later.wake_all(wake_reason::ready);
}

void check_counts(const queues& shared) {
  check(shared.ready == shared.woken, "as many were woken as the waker has ended waits");
}

}  // namespace

void wait_queue_of_threads_model(execution& threads) {
  queues shared;
  threads.thread("waiter 1", [&] { wait_twice(shared); });
  threads.thread("waiter 2", [&] { wait_twice(shared); });
  threads.thread("waker", [&] { wake_all_of(shared); });

  threads.go();

  check_counts(shared);
}

void wait_queue_of_fibers_model(execution& threads) {
  queues shared;
  threads.thread("fiber 1", [&] { in_fiber([&] { wait_twice(shared); }); });
  threads.thread("fiber 2", [&] { in_fiber([&] { wait_twice(shared); }); });
  threads.thread("waker", [&] { wake_all_of(shared); });

  threads.go();

  check_counts(shared);
}

// Claims on the worker's own thread take a short cut.
void wait_queue_of_one_worker_model(execution& threads) {
  queues shared;
  threads.thread("worker", [&] {
    in_fiber([&] {
      fiber<void> waiter = spawn([&] { wait_twice(shared); });
      this_fiber::yield();
      shared.woken += shared.queue.wake_one(wake_reason::ready) ? 1 : 0;
      wait_twice(shared);
      waiter.join();
    });
  });
  threads.thread("waker", [&] { wake_all_of(shared); });

  threads.go();

  check_counts(shared);
}

}  // namespace weft::model
