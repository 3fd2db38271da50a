// A worker with nothing to do goes to sleep while other threads have something for it: what is
// pushed to its inbox is found, and what is posted while the run ends is run, dropped or refused.
#include <atomic>
#include <system_error>

#include <weft/fiber.hpp>

#include "kernel.hpp"
#include "models.hpp"
#include "poller.hpp"
#include "tasks.hpp"

namespace weft::model {
namespace {

// Without a deadline: a wake-up that is lost leaves nobody who can go on.
void take_two(semaphore& counts) {
  counts.acquire();
  counts.acquire();
  check(counts.available() == 0, "each count is taken once");
}

void add_givers(execution& threads, semaphore& counts) {
  threads.thread("giver 1", [&] { counts.release(); });
  threads.thread("giver 2", [&] { counts.release(); });
}

}  // namespace

void inbox_model(execution& threads) {
  semaphore counts;
  threads.thread("worker", [&] { in_fiber([&] { take_two(counts); }); });
  add_givers(threads, counts);

  threads.go();
}

void poller_model(execution& threads) {
  reset_kernel();
  semaphore counts;
  threads.thread("worker", [&] {
    in_fiber([&] {
      std::error_code ec;
      check(net::detail::poller::of_this_worker(ec) != nullptr, "there is a poller");
      take_two(counts);
    });
  });
  add_givers(threads, counts);

  threads.go();
}

void run_end_model(execution& threads) {
  runtime two_workers{{.workers = 2}};
  std::atomic<int> run{0};
  std::atomic<int> refused{0};
  threads.thread("main", [&] { two_workers.run([] {}); });
  threads.thread("poster", [&] {
    try {
      two_workers.post([&] { ++run; });
    } catch (const std::system_error& error) {
      check(error.code() == errc::closed, "what is not run is refused as closed");
      ++refused;
    }
  });

  threads.go();

  check(run + refused <= 1, "nothing that was refused has run");
}

}  // namespace weft::model
