// A mutex, a condition variable and a semaphore between threads and fibers, with deadlines.
#include <mutex>
#include <system_error>

#include <weft/fiber.hpp>

#include "models.hpp"
#include "tasks.hpp"

namespace weft::model {
namespace {

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

void lock_twice(guarded_count& shared) {
  for (int i = 0; i < 2; ++i) {
    const std::lock_guard hold{shared.lock};
    shared.enter();
  }
}

// Returns how often it got it.
int try_twice(guarded_count& shared) {
  int got = 0;
  for (int i = 0; i < 2; ++i) {
    if (!shared.lock.try_lock_until(soon())) continue;
    shared.enter();
    shared.lock.unlock();
    ++got;
  }
  return got;
}

}  // namespace

void mutex_model(execution& threads) {
  guarded_count shared;
  int got = 0;
  threads.thread("thread", [&] { lock_twice(shared); });
  threads.thread("timed", [&] { got = try_twice(shared); });
  threads.thread("fiber", [&] { in_fiber([&] { lock_twice(shared); }); });

  threads.go();

  check(shared.entered == 4 + got, "who got the mutex has been in");
  check(shared.lock.try_lock(), "the mutex is free in the end");
  shared.lock.unlock();
}

// ---- event --------------------------------------------------------------------------------------

namespace {

void wait_in_time(event& shared, event& later) {
  shared.wait_until(soon());
  later.wait();
  check(later.is_set(), "a wake-up does not come to a later wait");
}

}  // namespace

// Whoever waits without a deadline goes on, though the first set() may be taken back before it
// looks.
void event_model(execution& threads) {
  event shared;
  event later;
  threads.thread("timed", [&] { wait_in_time(shared, later); });
  threads.thread("fiber", [&] { in_fiber([&] { shared.wait(); }); });
  threads.thread("setter", [&] {
    shared.set();
    shared.reset();
    shared.set();
    later.set();
  });

  threads.go();
}

// ---- condition_variable -------------------------------------------------------------------------

namespace {

struct condition {
  mutex lock;
  condition_variable changed;
  bool holds = false;
  event later;
};

void wait_for_condition(condition& shared) {
  {
    std::unique_lock hold{shared.lock};
    const auto status = shared.changed.wait_until(hold, soon());
    check(status == std::cv_status::timeout || shared.holds, "nobody is woken without cause");
  }
  shared.later.wait();
  check(shared.later.is_set(), "a wake-up does not come to a later wait");
}

}  // namespace

void condition_model(execution& threads) {
  condition shared;
  threads.thread("fiber", [&] { in_fiber([&] { wait_for_condition(shared); }); });
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

// ---- semaphore ----------------------------------------------------------------------------------

// Whoever times out must leave the count to the one who has no deadline.
void semaphore_model(execution& threads) {
  semaphore counts;
  threads.thread("timed", [&] {
    if (counts.try_acquire_until(soon())) counts.release();
  });
  threads.thread("fiber", [&] { in_fiber([&] { counts.acquire(); }); });
  threads.thread("giver", [&] {
    counts.release();
    counts.release();
  });

  threads.go();

  check(counts.available() == 1, "no count is lost or made");
}

}  // namespace weft::model
