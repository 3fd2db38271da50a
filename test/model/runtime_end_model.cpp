// A thread has still to do with a runtime that ends and goes: it cancels a fiber, spawns one in
// vain, stops the run. What it touches of the runtime is there until it is through.
#include <memory>
#include <stdexcept>
#include <system_error>

#include <weft/fiber.hpp>

#include "models.hpp"
#include "tasks.hpp"

namespace weft::model {
namespace {

// A function whose copy fails, when the place of its fiber has been taken.
class not_copied {
public:
  explicit not_copied(event& tried) noexcept : tried_(&tried) {}

  not_copied(const not_copied& other) : tried_(other.tried_) {
    tried_->set();
    throw std::runtime_error("no copy");
  }

  not_copied& operator=(const not_copied&) = delete;

  void operator()() const { check(false, "what could not be copied does not run"); }

private:
  event* tried_;
};

}  // namespace

void cancel_beyond_run_model(execution& threads) {
  fiber<void> child;
  event known;
  threads.thread("worker", [&] {
    in_fiber([&] {
      child = spawn([] { this_fiber::yield(); });
      known.set();
    });
  });
  threads.thread("canceller", [&] {
    known.wait();
    child.request_cancel();
    child.detach();
  });

  threads.go();
}

void failed_spawn_model(execution& threads) {
  auto worker = std::make_unique<runtime>();
  runtime& known = *worker;
  event tried;
  bool failed = false;
  threads.thread("worker", [&] {
    worker->run([&] { tried.wait(); });
    worker.reset();
  });
  threads.thread("spawner", [&] {
    const not_copied function{tried};
    try {
      known.post(function);
    } catch (const std::runtime_error&) {
      failed = true;
    }
  });

  threads.go();

  check(failed, "a spawn fails as the copy of its function did");
}

void request_stop_model(execution& threads) {
  auto worker = std::make_unique<runtime>();
  runtime& known = *worker;
  threads.thread("worker", [&] {
    std::error_code ec;
    worker->run([&] {
      event{}.wait_until(soon(), ec);
      if (!ec || ec == errc::timed_out) event{}.wait(ec);
    });
    check(ec == errc::cancelled, "the run is stopped, sooner or later");
    worker.reset();
  });
  threads.thread("stopper", [&] { known.request_stop(); });

  threads.go();
}

}  // namespace weft::model
