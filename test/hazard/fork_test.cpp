// fork(2) in a fiber: the child has that fiber alone, and a runtime that works.
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include <weft/co.hpp>
#include <weft/fiber.hpp>

#include "hazard/forked.hpp"

namespace {

using namespace std::chrono_literals;
using weft::spawn;
using weft::test::end_of;
using weft::test::expect_in_child;
using weft::test::fork_and;
using weft::test::require;
using weft::test::shared_count;
using weft::this_fiber::yield;

class Fork : public weft::test::fork_test {};

struct counts_its_end {
  shared_count& ends;

  ~counts_its_end() { ends.add(); }
};

// Turns in which all that could run in the child would.
void give_others_a_chance() {
  for (int i = 0; i < 200; ++i) yield();
  weft::this_fiber::sleep_for(20ms);
}

TEST_F(Fork, other_fibers_run_on_in_the_parent_alone) {
  shared_count went_on;
  shared_count unwound;
  run([&] {
    weft::event go;
    std::vector<weft::fiber<>> others;
    const auto spawn_one = [&](auto&& wait) {
      others.push_back(spawn([&, wait] {
        const counts_its_end guard{unwound};
        wait();
        went_on.add();
      }));
    };
    spawn_one([&] { go.wait(); });
    spawn_one([&] { weft::this_fiber::sleep_for(10ms); });
    spawn_one([&] { yield(); });
    yield();
    spawn_one([] {});  // has not started

    expect_in_child([&] {
      go.set();
      give_others_a_chance();
      require(went_on.get() == 0, "no other fiber runs");
      require(unwound.get() == 0, "no other fiber is unwound");
    });
    go.set();
    for (auto& each : others) each.join();
  });
  EXPECT_EQ(went_on.get(), 4);
  EXPECT_EQ(unwound.get(), 4);
}

TEST_F(Fork, the_child_can_do_what_its_parent_can) {
  run([] {
    expect_in_child([] {
      weft::channel<int> numbers{2};
      auto sender = spawn([&] {
        for (int i = 0; i < 10; ++i) numbers.send(i);
        numbers.close();
      });
      int sum = 0;
      while (const auto number = numbers.receive()) sum += *number;
      sender.join();
      require(sum == 45, "a channel works");
      require(!weft::move_on_after(1ms, [] { weft::this_fiber::sleep_for(1h); }),
              "a timeout ends a sleep");
      weft::task_group group;
      for (int i = 0; i < 100; ++i) group.spawn([&] { ++sum; });
      group.join();
      require(sum == 145, "a group works");
    });
  });
}

TEST_F(Fork, what_the_child_joins_of_its_parent_was_cancelled) {
  run([] {
    weft::event never;
    auto waits = spawn([&] { never.wait(); });
    auto ended = spawn([] { return 42; });
    ended.join();
    auto not_started = spawn([] { return 1; });

    expect_in_child([&] {
      require(waits.state() == weft::fiber_state::cancelled, "one that waited counts as cancelled");
      waits.join();
      not_started.join();
      require(not_started.state() == weft::fiber_state::cancelled,
              "one that had not started counts as cancelled");
      require(ended.result() == 42, "the result of one that had ended is there");
      waits.request_cancel();
      waits = {};  // neither waits nor destroys what is the parent's
      not_started.detach();
    });
    never.set();
    not_started.join();
    EXPECT_EQ(not_started.result(), 1);
  });
}

TEST_F(Fork, a_group_of_the_parent_is_empty_in_the_child) {
  run([] {
    weft::event go;
    weft::task_group group;
    for (int i = 0; i < 3; ++i) group.spawn([&] { go.wait(); });
    yield();

    expect_in_child([&] {
      group.join();
      group.spawn([] { yield(); });
      group.join();
    });
    go.set();
    group.join();
  });
}

TEST_F(Fork, the_child_may_destroy_and_use_what_others_waited_for) {
  run([] {
    auto event = std::make_unique<weft::event>();
    auto semaphore = std::make_unique<weft::semaphore>(0);
    auto channel = std::make_unique<weft::channel<int>>();
    auto mutex = std::make_unique<weft::mutex>();
    mutex->lock();
    std::vector<weft::fiber<>> waiting;
    waiting.push_back(spawn([&] { event->wait(); }));
    waiting.push_back(spawn([&] { semaphore->acquire(); }));
    waiting.push_back(spawn([&] { channel->receive(); }));
    waiting.push_back(spawn([&] {
      mutex->lock();
      mutex->unlock();
    }));
    yield();

    expect_in_child([&] {
      semaphore->release();
      semaphore->acquire();  // what nobody else has taken
      mutex->unlock();
      mutex->lock();
      mutex->unlock();
      auto sender = spawn([&] { channel->send(7); });
      require(channel->receive() == 7, "a channel hands over what no other fiber receives");
      sender.join();
      event.reset();
      semaphore.reset();
      channel.reset();
      mutex.reset();
    });
    event->set();
    semaphore->release();
    channel->close();
    mutex->unlock();
    for (auto& each : waiting) each.join();
  });
}

// ---- how the child ends ------------------------------------------------------------------------

TEST_F(Fork, in_the_main_fiber_run_returns_in_the_child) {
  const pid_t parent = ::getpid();
  pid_t child = 0;
  const int result = run([&] {
    auto other = spawn([&] { weft::this_fiber::sleep_for(5ms); });
    child = fork_and([] { ::alarm(60); });
    if (child == 0) weft::this_fiber::sleep_for(1ms);
    return 5;
  });
  if (::getpid() != parent) ::_exit(result == 5 ? EXIT_SUCCESS : weft::test::child_failed);
  EXPECT_EQ(end_of(child), EXIT_SUCCESS);
}

TEST_F(Fork, in_another_fiber_its_end_is_that_of_the_child) {
  run([] {
    pid_t child = 0;
    shared_count cancelled;
    auto forks = spawn([&] {
      child = fork_and([] {});
      if (child != 0) return;
      spawn([&] {
        try {
          weft::this_fiber::sleep_for(1h);
        } catch (const std::system_error&) {
          cancelled.add();
          throw;
        }
      }).detach();
      yield();
    });
    forks.join();
    EXPECT_NE(child, 0) << "main went on in the child";
    EXPECT_EQ(end_of(child), EXIT_SUCCESS);
    EXPECT_EQ(cancelled.get(), 1) << "what the child had spawned was ended first";
  });
}

TEST_F(Fork, an_exception_that_leaves_the_fiber_fails_the_child) {
  run([] {
    pid_t child = 0;
    auto forks = spawn([&] {
      child = fork_and([] { weft::set_diagnostics_sink([](std::string_view) {}); });
      if (child == 0) throw std::runtime_error("nobody joins this");
    });
    forks.join();
    EXPECT_EQ(end_of(child), EXIT_FAILURE);
  });
}

TEST_F(Fork, a_stop_of_the_child_cancels_the_fiber_that_forked) {
  weft::runtime worker;
  worker.run([&] {
    spawn([&] {
      expect_in_child([&] {
        worker.request_stop();
        std::error_code ec;
        weft::this_fiber::sleep_for(1h, ec);
        require(ec == weft::errc::cancelled, "a request to stop cancels it");
      });
    }).join();
  });
}

TEST_F(Fork, a_child_may_fork_again) {
  run([] {
    auto other = spawn([] { weft::this_fiber::sleep_for(1h); });
    yield();
    spawn([] {
      expect_in_child([] {
        auto of_the_child = spawn([] { weft::this_fiber::sleep_for(1h); });
        yield();
        const pid_t grandchild = fork_and([&] {
          of_the_child.join();
          spawn([] { weft::this_fiber::sleep_for(1ms); }).join();
          ::_exit(EXIT_SUCCESS);
        });
        require(end_of(grandchild) == EXIT_SUCCESS, "a child of the child ends well");
      });
    }).join();
  });
}

// ---- tasks of coroutines, scopes ---------------------------------------------------------------

weft::co::task<int> sleep_and_return(int value) {
  co_await weft::co::sleep_for(1ms);
  co_return value;
}

TEST_F(Fork, in_a_coroutine_the_child_goes_on_with_that) {
  run([] {
    auto other = weft::co::spawn(sleep_and_return(1));
    auto forks = weft::co::spawn([]() -> weft::co::task<pid_t> {
      co_await weft::co::sleep_for(1ms);
      const pid_t child = fork_and([] {});
      if (child != 0) co_return child;
      auto spawned = weft::co::spawn(sleep_and_return(3));
      co_await spawned.co_join();
      require(co_await sleep_and_return(2) + spawned.result() == 5, "coroutines run in the child");
      co_return 0;
    });
    forks.join();
    EXPECT_EQ(end_of(forks.result()), EXIT_SUCCESS);
  });
}

TEST_F(Fork, the_scopes_of_the_fiber_hold_in_the_child) {
  run([] {
    auto other = spawn([] { weft::move_on_after(1h, [] { weft::this_fiber::sleep_for(1h); }); });
    yield();
    spawn([] {
      const auto result = weft::move_on_after(50ms, [] {
        expect_in_child([] {
          std::error_code ec;
          weft::this_fiber::sleep_for(1h, ec);
          require(ec == weft::errc::timed_out, "the deadline is that of the parent");
        });
        return 1;
      });
      static_cast<void>(result);
    }).join();
  });
}

// ---- threads -----------------------------------------------------------------------------------

TEST_F(Fork, on_one_of_several_workers_leaves_that_one) {
  run(
      [] {
        weft::event never;
        auto elsewhere = weft::spawn_on(0, [&] { never.wait(); });
        weft::spawn_on(2, [&] {
          expect_in_child([&] {
            elsewhere.join();
            int number = 0;
            weft::spawn_on(0, [&] { number = 1; }).join();
            weft::spawn_anywhere([&] { ++number; }).join();
            require(number == 2, "fibers run on the worker that is left");
            std::error_code ec;
            weft::spawn_on(
                1, {}, [] {}, ec)
                .join(ec);
            require(ec == std::errc::invalid_argument, "there is no other worker");
          });
        }).join();
        never.set();
      },
      {.workers = 3});
}

TEST_F(Fork, in_another_thread_leaves_no_runtime_and_the_child_can_make_one) {
  weft::runtime worker;
  std::thread forks;
  worker.run([&] {
    weft::event done;
    auto busy = spawn([&] {
      while (!done.is_set()) yield();
    });
    forks = std::thread{[&] {
      expect_in_child([] {
        int result = 0;
        weft::runtime own;
        own.run([&] {
          spawn([&] {
            weft::this_fiber::sleep_for(1ms);
            result = 3;
          }).join();
        });
        require(result == 3, "a new runtime runs");
      });
      done.set();
    }};
    done.wait();
  });
  forks.join();
}

TEST_F(Fork, before_it_runs_leaves_both_a_runtime_that_can) {
  weft::runtime worker;
  int posted = 0;
  worker.post([&] { ++posted; });
  expect_in_child([&] {
    worker.run([] { weft::this_fiber::sleep_for(1ms); });
    require(posted == 1, "what was posted before runs in both");
  });
  worker.run([] { weft::this_fiber::sleep_for(1ms); });
  EXPECT_EQ(posted, 1);
  expect_in_child([&] { worker.run([] { weft::this_fiber::sleep_for(1ms); }); });
}

TEST_F(Fork, before_it_runs_while_another_thread_posts_leaves_the_child_a_runtime_that_can) {
  constexpr int rounds = 100;
  constexpr int posts_a_round = 20;
  for (int round = 0; round < rounds; ++round) {
    weft::runtime worker;
    bool posts = false;
    std::thread poster([&] {
      for (int i = 0; i < posts_a_round; ++i) {
        worker.post([] { yield(); });
        __atomic_store_n(&posts, true, __ATOMIC_RELEASE);
      }
    });
    while (!__atomic_load_n(&posts, __ATOMIC_ACQUIRE)) {
    }
    expect_in_child([&] { worker.run([] { spawn([] { yield(); }).join(); }); });
    poster.join();
    worker.run([] { yield(); });
  }
}

TEST_F(Fork, tells_the_driver) {
  run([] {
    const auto& fake = weft::testing::fake_driver::install();
    expect_in_child([&] { require(fake.forks() == 1, "its driver was told"); });
    EXPECT_EQ(fake.forks(), 0);
  });
}

}  // namespace
