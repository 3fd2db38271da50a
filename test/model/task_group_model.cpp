// A task group that its owner leaves while a fiber joins it and a thread cancels it, which ends its
// last fiber: nobody touches the group after it has gone, which AddressSanitizer sees.
#include <memory>
#include <system_error>

#include <weft/fiber.hpp>

#include "models.hpp"
#include "tasks.hpp"

namespace weft::model {

void task_group_model(execution& threads) {
  task_group* group = nullptr;
  event known;
  threads.thread("worker", [&] {
    in_fiber([&] {
      auto held = std::make_unique<task_group>();
      group = held.get();
      std::error_code ended;
      std::error_code joined;
      held->spawn([&] { event{}.wait(ended); });
      fiber<void> joiner = spawn([&] {
        known.set();
        group->join(joined);
      });

      held.reset();

      check(ended == errc::cancelled, "the owner waits for the fibers");
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

}  // namespace weft::model
