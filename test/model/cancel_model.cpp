// A wait that ends because it happened, by its deadline, or because a scope of the task is
// cancelled: for one reason, and the wait after the scope is another one.
#include <mutex>
#include <system_error>

#include <weft/fiber.hpp>

#include "models.hpp"
#include "tasks.hpp"

namespace weft::model {
namespace {

struct events {
  event happened;
  event later;
  event scope_known;
  event scope_done;  // whoever cancels it has done so
  mutex lock;        // held while the scope is cancelled
  cancel_scope* scope = nullptr;
};

void wait_in_scope(events& shared) {
  cancel_scope mine;
  shared.scope = &mine;
  shared.scope_known.set();
  std::error_code ec;
  if (shared.happened.wait_until(soon(), ec)) {
    check(!ec && shared.happened.is_set(), "a wait succeeds when it has happened");
  } else {
    check(ec == errc::timed_out || (ec == errc::cancelled && mine.cancel_requested()),
          "a wait ends for a reason that there was");
  }
  // No cancellation point: it is taken in the cancelled scope too.
  shared.lock.lock();
  shared.lock.unlock();
  const shield apart;
  shared.scope_done.wait();
}

void wait_and_go_on(events& shared) {
  wait_in_scope(shared);
  shared.later.wait();
  check(shared.later.is_set(), "a wake-up does not come to a later wait");
}

}  // namespace

void cancel_model(execution& threads) {
  events in_thread;
  events in_worker;
  const auto cancel = [](events& shared) {
    shared.scope_known.wait();
    {
      const std::lock_guard hold{shared.lock};
      shared.scope->request_cancel();
    }
    shared.scope_done.set();
  };
  threads.thread("thread", [&] { wait_and_go_on(in_thread); });
  threads.thread("fiber", [&] { in_fiber([&] { wait_and_go_on(in_worker); }); });
  threads.thread("canceller", [&] {
    cancel(in_thread);
    cancel(in_worker);
  });
  threads.thread("setter", [&] {
    for (events* each : {&in_thread, &in_worker}) {
      each->happened.set();
      each->later.set();
    }
  });

  threads.go();
}

}  // namespace weft::model
