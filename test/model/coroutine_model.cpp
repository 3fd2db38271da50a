// Coroutines that wait in a queue, for a condition, for a count and on a channel, with deadlines
// and cancellations: what the models of threads and fibers check, of tasks that suspend.
#include <atomic>
#include <memory>
#include <mutex>
#include <system_error>

#include <weft/co.hpp>

#include "models.hpp"
#include "tasks.hpp"

namespace weft::model {
namespace {

using detail::cancellation;
using detail::spin_lock;
using detail::wake_reason;

// Runs the task on a worker of its own, whose thread is the calling one.
template <class Task>
void in_coroutine(Task&& task) {
  in_fiber([&] {
    auto running = co::spawn(std::forward<Task>(task));
    running.join();
    running.result();
  });
}

// ---- waits in a queue --------------------------------------------------------------------------

struct queues {
  detail::wait_queue queue;
  std::atomic<int> ready{0};  // waits in `queue` that were woken
  std::atomic<int> woken{0};  // waits in `queue` that wakers have ended
  event later;
};

co::task<wake_reason> wait_in(detail::wait_queue& queue, time_point deadline, cancellation mode) {
  queue.lock.lock();
  co_return co_await detail::co_wait<spin_lock>{queue.list, queue.lock, deadline, mode};
}

co::task<> wait_twice(queues& shared) {
  const wake_reason reason = co_await wait_in(shared.queue, soon(), cancellation::honoured);
  check(reason == wake_reason::ready || reason == wake_reason::timed_out,
        "a wait ends for a reason that there was");
  if (reason == wake_reason::ready) ++shared.ready;
  co_await shared.later.co_wait();
  check(shared.later.is_set(), "a wake-up does not come to a later wait");
}

void wake_all_of(queues& shared) {
  for (int i = 0; i < 2; ++i) shared.woken += shared.queue.wake_one(wake_reason::ready) ? 1 : 0;
  shared.later.set();
}

// ---- a wait that was woken, cancelled, and begins again ----------------------------------------

struct waits {
  detail::wait_queue queue;
  event scope_known;
  event scope_done;
  cancel_scope* scope = nullptr;
};

co::task<> wait_until_cancelled(waits& shared) {
  cancel_scope mine;
  shared.scope = &mine;
  shared.scope_known.set();
  std::error_code ec;
  if (!detail::refuse_coroutine(ec)) {
    constexpr auto no_deadline = detail::no_deadline;
    wake_reason reason = co_await wait_in(shared.queue, no_deadline, cancellation::honoured);
    if (reason == wake_reason::ready) {
      reason = co_await wait_in(shared.queue, no_deadline, cancellation::honoured);
    }
    check(reason == wake_reason::cancelled, "a wait that nothing else ends is cancelled");
  }
  const shield apart;
  co_await shared.scope_done.co_wait();
}

// ---- what is shared ----------------------------------------------------------------------------

struct condition {
  mutex lock;
  condition_variable changed;
  bool holds = false;
  event later;
};

co::task<> wait_for_condition(condition& shared) {
  {
    auto hold = co_await shared.lock.co_scoped_lock();
    const auto status = co_await shared.changed.co_wait_until(hold, soon());
    check(status == std::cv_status::timeout || shared.holds, "nobody is woken without cause");
  }
  co_await shared.later.co_wait();
  check(shared.later.is_set(), "a wake-up does not come to a later wait");
}

struct guarded_count {
  mutex lock;
  int inside = 0;
  int entered = 0;

  void enter() {
    check(++inside == 1, "one task at a time holds the mutex");
    let_others_run();
    ++entered;
    --inside;
  }
};

co::task<> lock_twice(guarded_count& shared) {
  for (int i = 0; i < 2; ++i) {
    const auto hold = co_await shared.lock.co_scoped_lock();
    shared.enter();
  }
}

co::task<> try_twice(guarded_count& shared, int& got) {
  for (int i = 0; i < 2; ++i) {
    const bool has = co_await shared.lock.co_try_lock_until(soon());
    if (!has) continue;
    shared.enter();
    shared.lock.unlock();
    ++got;
  }
}

co::task<> wait_cancelled(std::error_code& ended) {
  event never;
  co_await never.co_wait(ended);
}

co::task<> join(task_group& group, event& known, std::error_code& joined) {
  known.set();
  co_await group.co_join(joined);
}

co::task<> acquire_in_time(semaphore& counts) {
  const bool got = co_await counts.co_try_acquire_until(soon());
  if (got) counts.release();
}

co::task<> acquire(semaphore& counts) { co_await counts.co_acquire(); }

struct traffic {
  channel<int> pipe;
  std::atomic<int> sent{0};
  std::atomic<int> received{0};
};

co::task<> send_twice(traffic& shared) {
  std::error_code ec;
  co_await shared.pipe.co_send(1);
  ++shared.sent;
  if (co_await shared.pipe.co_send_until(2, soon(), ec)) ++shared.sent;
  shared.pipe.close();
}

co::task<> receive_all(traffic& shared) {
  while (const auto value = co_await shared.pipe.co_receive()) ++shared.received;
}

}  // namespace

void wait_queue_of_coroutines_model(execution& threads) {
  queues shared;
  threads.thread("coroutine 1", [&] { in_coroutine(wait_twice(shared)); });
  threads.thread("coroutine 2", [&] { in_coroutine(wait_twice(shared)); });
  threads.thread("waker", [&] { wake_all_of(shared); });

  threads.go();

  check(shared.ready == shared.woken, "as many were woken as the waker has ended waits");
}

void wait_again_of_coroutine_model(execution& threads) {
  waits shared;
  threads.thread("coroutine", [&] { in_coroutine(wait_until_cancelled(shared)); });
  threads.thread("waker", [&] { shared.queue.wake_one(wake_reason::ready); });
  threads.thread("canceller", [&] {
    shared.scope_known.wait();
    shared.scope->request_cancel();
    shared.scope_done.set();
  });

  threads.go();

  check(shared.queue.empty(), "no wait stays published");
}

void mutex_of_coroutines_model(execution& threads) {
  guarded_count shared;
  int got = 0;
  threads.thread("coroutine", [&] { in_coroutine(lock_twice(shared)); });
  threads.thread("timed", [&] { in_coroutine(try_twice(shared, got)); });
  threads.thread("thread", [&] {
    const std::lock_guard hold{shared.lock};
    shared.enter();
  });

  threads.go();

  check(shared.entered == 3 + got, "who got the mutex has been in");
  check(shared.lock.try_lock(), "the mutex is free in the end");
  shared.lock.unlock();
}

// Its owner leaves it while a coroutine joins it and a thread cancels it.
void task_group_of_coroutines_model(execution& threads) {
  task_group* group = nullptr;
  event known;
  threads.thread("worker", [&] {
    in_fiber([&] {
      auto held = std::make_unique<task_group>();
      group = held.get();
      std::error_code ended;
      std::error_code joined;
      held->spawn([&] { return wait_cancelled(ended); });
      auto joiner = co::spawn([&] { return join(*group, known, joined); });

      held.reset();

      check(ended == errc::cancelled, "the owner waits for the tasks");
      joiner.join();
      check(!joined, "a join is not cancelled by the cancellation of the group");
    });
  });
  threads.thread("canceller", [&] {
    known.wait();
    group->request_cancel();
  });

  threads.go();
}

void condition_of_coroutine_model(execution& threads) {
  condition shared;
  threads.thread("coroutine", [&] { in_coroutine(wait_for_condition(shared)); });
  threads.thread("notifier", [&] {
    {
      const std::lock_guard hold{shared.lock};
      shared.holds = true;
    }
    shared.changed.notify_one();
    shared.later.set();
  });

  threads.go();
}

// Whoever times out must leave the count to the one who has no deadline.
void semaphore_of_coroutines_model(execution& threads) {
  semaphore counts;
  threads.thread("timed", [&] { in_coroutine(acquire_in_time(counts)); });
  threads.thread("coroutine", [&] { in_coroutine(acquire(counts)); });
  threads.thread("giver", [&] {
    counts.release();
    counts.release();
  });

  threads.go();

  check(counts.available() == 1, "no count is lost or made");
}

void channel_of_coroutines_model(execution& threads) {
  traffic shared;
  threads.thread("sender", [&] { in_coroutine(send_twice(shared)); });
  threads.thread("receiver", [&] { in_coroutine(receive_all(shared)); });
  threads.thread("thread", [&] {
    if (shared.pipe.receive()) ++shared.received;
  });

  threads.go();

  check(shared.sent == shared.received, "a value is received as often as it was sent");
}

}  // namespace weft::model
