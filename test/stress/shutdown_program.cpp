// Runs that end, in every way there is, while fibers and coroutines are in every kind of wait: all
// are cancelled, none is left, and nothing that they used is left taken.
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <system_error>
#include <thread>

#include <weft/co.hpp>

#include "stress/program.hpp"
#include "stress/world.hpp"

namespace weft::test::stress {
namespace {

using namespace std::chrono_literals;

// What there is to wait for; none of it ever happens.
class waiting_room {
public:
  void wait_for_ever(dice& random) {
    const counted here{waiting};
    switch (random.below(12)) {
    case 0: return never_.wait();
    case 1: return none_.acquire();
    case 2: return wait_for_condition();
    case 3: return empty_.send(1);
    case 4: return static_cast<void>(unread_.receive());
    case 5: return this_fiber::sleep_for(1h);
    case 6: return spawn_anywhere([this] { never_.wait(); }).join();
    case 7: return wait_in_group(random);
    case 8: return wait_in_shield(random);
    case 9: return contend();
    case 10: return static_cast<void>(quiet_.out.read_some_borrowed(16));
    default: return co::block_on(co_wait_for_ever(random));
    }
  }

  co::task<> co_wait_for_ever(dice& random) {
    const counted here{waiting};
    switch (random.below(10)) {
    case 0: co_await never_.co_wait(); break;
    case 1: co_await none_.co_acquire(); break;
    case 2: {
      auto hold = co_await free_.co_scoped_lock();
      co_await more_.co_wait(hold);
      break;
    }
    case 3: co_await empty_.co_send(1); break;
    case 4: co_await unread_.co_receive(); break;
    case 5: co_await co::sleep_for(1h); break;
    case 6: co_await co::when_any(co_wait(), co_wait()); break;
    case 7: co_await co::when_all(co_wait(), co_wait()); break;
    case 8:
      co_await co::with_task_group([this](task_group& group) -> co::task<> {
        group.spawn(co_wait());
        group.spawn_anywhere([this] { never_.wait(); });
        co_return;
      });
      break;
    default: wait_for_ever(random);
    }
  }

  void check(outcome& result) {
    result.expect_equal("tasks left", static_cast<std::uint64_t>(waiting.load()), 0);
    result.expect_equal("permits", none_.available(), 0);
    result.expect_equal("values in a channel", unread_.size() + empty_.size(), 0);
    result.expect(free_.try_lock(), "a mutex is free once all have ended");
    free_.unlock();
  }

  std::atomic<std::int64_t> waiting = 0;

private:
  co::task<> co_wait() { co_await never_.co_wait(); }

  void wait_for_condition() {
    std::unique_lock hold{free_};
    more_.wait(hold);
  }

  void wait_in_group(dice& random) {
    task_group group;
    for (std::size_t i = random.below(4); i != 0; --i) {
      group.spawn_anywhere([this] { never_.wait(); });
    }
    group.spawn([this] { return co_wait(); });
    group.join();
  }

  void wait_in_shield(dice& random) {
    {
      const shield kept_off;
      never_.wait_for(random.short_time());
    }
    never_.wait();
  }

  // One after the other has the mutex, until all are cancelled.
  void contend() {
    for (;;) {
      free_.lock();
      const std::lock_guard hold{free_, std::adopt_lock};
      std::error_code ec;
      this_fiber::sleep_for(100us, ec);
      if (ec) return;
    }
  }

  event never_;
  semaphore none_{0};
  mutex free_;
  condition_variable more_;
  channel<int> empty_{0}, unread_{1};
  connection quiet_;
};

enum class end_of_run : std::uint8_t { returns, throws, is_stopped };

// Spawns tasks that wait, on all workers.
void fill(waiting_room& room, dice& random, unsigned workers, outcome& result) {
  for (std::size_t i = 4 + random.below(40); i != 0; --i) {
    const std::size_t where = random.below(workers);
    const auto body = [&room, seed = random.seed()] {
      dice own{seed};
      room.wait_for_ever(own);
    };
    const auto task = [&room, seed = random.seed()]() -> co::task<> {
      dice own{seed};
      co_await room.co_wait_for_ever(own);
    };
    (random.once_in(2) ? spawn_on(where, body) : co::spawn_on(where, task)).detach();
    result.count_operation();
  }
}

void run_once(runtime& instance, dice& random, unsigned workers, waiting_room& room,
              outcome& result) {
  const auto how =
      std::array{end_of_run::returns, end_of_run::throws, end_of_run::is_stopped}[random.below(3)];
  std::atomic<bool> all_there = false;
  std::thread stopper{[&] {
    while (!all_there) std::this_thread::yield();
    if (how == end_of_run::is_stopped) instance.request_stop();
  }};
  const auto main_function = [&] {
    fill(room, random, workers, result);
    for (std::size_t i = random.below(100); i != 0; --i) this_fiber::yield();
    all_there = true;
    if (how == end_of_run::throws) throw planned_failure{};
    if (how == end_of_run::is_stopped) this_fiber::sleep_for(1h);
  };
  auto ended = end_of_run::returns;
  try {
    instance.run(main_function);
  } catch (const planned_failure&) {
    ended = end_of_run::throws;
  } catch (const std::system_error& error) {
    result.expect(error.code() == errc::cancelled, "a run that is stopped is cancelled");
    ended = end_of_run::is_stopped;
  }
  result.expect(ended == how, "a run ends as its main function does");
  stopper.join();
}

}  // namespace

void end_in_every_wait(dice& random, outcome& result) {
  const unsigned workers = 1 + static_cast<unsigned>(random.below(4));
  waiting_room room;
  {
    runtime instance{{.workers = workers}};
    for (std::size_t i = 1 + random.below(6); i != 0; --i) {
      run_once(instance, random, workers, room, result);
      result.expect_equal("tasks left by a run", static_cast<std::uint64_t>(room.waiting.load()),
                          0);
    }
  }
  room.check(result);
}

}  // namespace weft::test::stress
