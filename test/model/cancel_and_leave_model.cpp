// A task leaves a scope as soon as it sees that another thread cancels it, and the memory of the
// scope goes: the canceller touches it no more, nor the task for it.
#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <sched.h>
#include <system_error>

#include <weft/fiber.hpp>

#include "models.hpp"
#include "tasks.hpp"

namespace weft::model {
namespace {

// Memory of a scope that stays readable when the scope is gone, to see who writes to it then.
class scope_space {
public:
  cancel_scope& enter() { return *::new (space_.data()) cancel_scope; }

  void leave(cancel_scope& scope) {
    std::destroy_at(&scope);
    space_.fill(nobody_writes_this);
  }

  bool is_untouched() const {
    return std::ranges::all_of(space_, [](std::byte each) { return each == nobody_writes_this; });
  }

private:
  static constexpr std::byte nobody_writes_this{0xa5};

  alignas(cancel_scope) std::array<std::byte, sizeof(cancel_scope)> space_;
};

struct events {
  event scope_known;
  event later;
  scope_space space;
  cancel_scope* scope = nullptr;
};

// How it sees that depends: in a wait, or by a look at the scope, which comes before it is told.
void wait_and_leave(events& shared) {
  cancel_scope& mine = shared.space.enter();
  shared.scope = &mine;
  shared.scope_known.set();
  std::error_code ec;
  event{}.wait_until(soon(), ec);
  check(ec == errc::timed_out || (ec == errc::cancelled && mine.cancel_requested()),
        "a wait ends for a reason that there was");
  while (!mine.cancel_requested()) ::sched_yield();
  shared.space.leave(mine);
}

void leave_and_go_on(events& shared) {
  wait_and_leave(shared);
  std::error_code ec;
  shared.later.wait(ec);
  check(!ec, "a wait after the scope is not cancelled with it");
}

}  // namespace

void cancel_and_leave_model(execution& threads) {
  events in_thread;
  events in_worker;
  threads.thread("thread", [&] { leave_and_go_on(in_thread); });
  threads.thread("fiber", [&] { in_fiber([&] { leave_and_go_on(in_worker); }); });
  threads.thread("canceller", [&] {
    for (events* each : {&in_thread, &in_worker}) {
      each->scope_known.wait();
      each->scope->request_cancel();
    }
  });
  // Perhaps before that has returned: then the task, and its worker, end meanwhile.
  threads.thread("setter", [&] {
    for (events* each : {&in_thread, &in_worker}) each->later.set();
  });

  threads.go();

  check(in_thread.space.is_untouched(), "nobody writes to a scope that a thread has left");
  check(in_worker.space.is_untouched(), "nobody writes to a scope that a fiber has left");
}

}  // namespace weft::model
