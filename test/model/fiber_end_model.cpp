// A fiber ends while others wait for that, and give up waiting, and while its handle is given up:
// what it has returned is destroyed once, and nobody touches the fiber after it has gone, which
// AddressSanitizer sees: of what is left of it, too.
#include <chrono>
#include <system_error>
#include <utility>

#include <weft/fiber.hpp>

#include "models.hpp"
#include "tasks.hpp"

namespace weft::model {
namespace {

// What a fiber returns; counts how many of it there are.
class counted {
public:
  explicit counted(detail::atomic<int>& count) noexcept : count_(&count) { add(1); }

  counted(counted&& other) noexcept : count_(other.count_) { add(1); }

  counted& operator=(counted&&) = delete;

  ~counted() { add(-1); }

private:
  void add(int difference) noexcept { count_->fetch_add(difference, std::memory_order_relaxed); }

  detail::atomic<int>* count_;
};

struct shared_state {
  detail::atomic<int> alive{0};
  event may_end;
  event known;

  fiber<counted> spawn_one() {
    return spawn([this] {
      std::error_code ec;
      may_end.wait(ec);
      return counted{alive};
    });
  }

  // Joins it, perhaps not for long enough.
  static void join_for_a_while(fiber<counted>& child) {
    const timeout limit{std::chrono::milliseconds{2}};
    std::error_code ec;
    child.join(ec);
    check(!ec || ec == errc::timed_out || ec == errc::cancelled, "a join ends for a reason");
  }

  void check_end() const {
    check(alive.load(std::memory_order_relaxed) == 0, "what a fiber returned is destroyed once");
  }
};

// Two fibers join it; then its handle goes, while they wait.
void end_beside_fibers(shared_state& state, fiber<counted>& child) {
  fiber<void> first = spawn([&] { state.join_for_a_while(child); });
  fiber<void> second = spawn([&] { state.join_for_a_while(child); });
  state.known.set();
  this_fiber::yield();
  first.request_cancel();
  child.detach();
  first.join();
  second.join();
}

// A thread has the handle, joins it and gives it up.
void end_beside_a_thread(shared_state& state, fiber<counted>& child) {
  state.known.wait();
  state.join_for_a_while(child);
  child.detach();
}

}  // namespace

void fiber_end_model(execution& threads) {
  shared_state beside_fibers;
  shared_state beside_thread;
  fiber<counted> child;
  threads.thread("worker", [&] {
    in_fiber([&] {
      fiber<counted> mine = beside_fibers.spawn_one();
      end_beside_fibers(beside_fibers, mine);
      child = beside_thread.spawn_one();
      beside_thread.known.set();
    });
  });
  threads.thread("joiner", [&] { end_beside_a_thread(beside_thread, child); });
  threads.thread("setter", [&] {
    beside_fibers.known.wait();
    beside_fibers.may_end.set();
    beside_thread.may_end.set();
  });

  threads.go();
  beside_fibers.check_end();
  beside_thread.check_end();
}

void fiber_end_on_another_worker_model(execution& threads) {
  shared_state state;
  fiber<counted> child;
  event spawned;
  threads.thread("worker", [&] {
    in_fiber([&] {
      child = state.spawn_one();
      spawned.set();
    });
  });
  threads.thread("joiner", [&] {
    in_fiber([&] {
      spawned.wait();
      end_beside_fibers(state, child);
    });
  });
  threads.thread("setter", [&] { state.may_end.set(); });

  threads.go();
  state.check_end();
}

}  // namespace weft::model
