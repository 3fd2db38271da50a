// A wait in two lists, of tasks of every kind: what wakes one is used by it or goes to the next,
// and nothing is left in a list afterwards.
#include <array>
#include <atomic>

#include <weft/fiber.hpp>
#include <weft/fiber/detail/composite_wait.hpp>

#include "models.hpp"
#include "tasks.hpp"

namespace weft::model {
namespace {

using detail::wake_reason;

struct place {
  detail::wait_queue queue;
  bool set = false;  // guarded by queue.lock
};

struct two_places {
  std::array<place, 2> places;
  std::atomic<int> ready{0};  // waits that were woken from outside
  std::atomic<int> woken{0};  // waits that wakers have ended
  event later;
};

// Waits until one of the places is set or its time is over.
void wait_for_any(two_places& shared) {
  detail::composite_wait several;
  std::array<detail::composite_wait::entry, 2> entries;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    place& each = shared.places[i];
    each.queue.lock.lock();
    if (each.set) {
      each.queue.lock.unlock();
      if (!several.abandon()) ++shared.ready;
      return;
    }
    several.publish(entries[i], each.queue.list, each.queue.lock);
  }
  const wake_reason reason = several.wait(soon(), detail::cancellation::honoured);
  check(reason == wake_reason::ready || reason == wake_reason::timed_out,
        "a wait ends for a reason that there was");
  if (reason == wake_reason::ready) ++shared.ready;
}

void wait_twice(two_places& shared) {
  wait_for_any(shared);
  shared.later.wait();
  check(shared.later.is_set(), "a wake-up does not come to a later wait");
}

void check_in_the_end(two_places& shared) {
  check(shared.ready == shared.woken, "as many were woken as wakers have ended waits");
  for (place& each : shared.places) check(each.queue.empty(), "no wait stays published");
}

void set(two_places& shared, place& which) {
  which.queue.lock.lock();
  which.set = true;
  which.queue.lock.unlock();
  shared.woken += which.queue.wake_one(wake_reason::ready) ? 1 : 0;
}

}  // namespace

void composite_model(execution& threads) {
  two_places shared;
  threads.thread("thread", [&] { wait_twice(shared); });
  threads.thread("fiber", [&] { in_fiber([&] { wait_twice(shared); }); });
  threads.thread("waker", [&] {
    for (place& each : shared.places) set(shared, each);
    shared.later.set();
  });

  threads.go();

  check_in_the_end(shared);
}

// The claim of one place takes the short cut of the worker's own thread, that of the other does
// not.
void composite_of_one_worker_model(execution& threads) {
  two_places shared;
  threads.thread("worker", [&] {
    in_fiber([&] {
      fiber<void> waiter = spawn([&] { wait_twice(shared); });
      this_fiber::yield();
      set(shared, shared.places[0]);
      waiter.join();
    });
  });
  threads.thread("waker", [&] {
    set(shared, shared.places[1]);
    shared.later.set();
  });

  threads.go();

  check_in_the_end(shared);
}

}  // namespace weft::model
