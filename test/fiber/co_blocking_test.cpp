// Calls that block inside coroutines: each keeps the stack it runs on, and others run meanwhile.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/resource.h>
#include <system_error>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include <weft/co.hpp>
#include <weft/fiber/diagnostics.hpp>
#include <weft/fiber/event.hpp>
#include <weft/fiber/mutex.hpp>
#include <weft/fiber/semaphore.hpp>

#include "support/runtime_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using testing::ExitedWithCode;
using weft::co::spawn;
using weft::co::task;
using weft::test::under_asan;
using weft::test::under_tsan;
using weft::test::use_stack;
using weft::this_fiber::yield;

class CoBlocking : public weft::test::runtime_test {};

using CoBlockingDeath = CoBlocking;

std::size_t stacks() { return weft::testing::current_holdings().stacks; }

TEST_F(CoBlocking, coroutines_that_wait_hold_no_stack_and_those_that_block_one_each) {
  run([] {
    weft::event go;
    std::vector<weft::fiber<>> all;
    for (int i = 0; i < 50; ++i) {
      all.push_back(spawn([&]() -> task<> { co_await go.co_wait(); }));
    }
    weft::testing::all_blocked();
    EXPECT_EQ(stacks(), 0u);

    for (int i = 0; i < 10; ++i) {
      all.push_back(spawn([&]() -> task<> {
        go.wait();
        co_return;
      }));
    }
    weft::testing::all_blocked();
    EXPECT_EQ(stacks(), 10u);

    go.set();
    for (auto& each : all) each.join();
    EXPECT_EQ(stacks(), 0u);
  });
}

// Every way to block and to suspend, in an order that `start` decides; the value travels through.
task<int> mixture(int start, weft::mutex& lock, int& guarded) {
  int rounds = 0;
  auto child = weft::spawn([start] {
    weft::this_fiber::sleep_for(1ms * (start % 5));
    return start;
  });
  for (int i = start; i < start + 12; ++i, ++rounds) {
    switch (i % 6) {
    case 0: weft::this_fiber::sleep_for(1ms * (start % 3)); break;
    case 1: co_await weft::co::sleep_for(1ms * (start % 4)); break;
    case 2: {
      const std::lock_guard hold{lock};
      ++guarded;
      yield();
      break;
    }
    case 3: {
      const auto hold = co_await lock.co_scoped_lock();
      ++guarded;
      co_await weft::co::yield();
      break;
    }
    case 4: child.join(); break;
    default: use_stack(20'000); yield();
    }
  }
  co_await child.co_join();
  EXPECT_EQ(rounds, 12);
  co_return child.result();
}

void run_mixtures() {
  weft::mutex lock;
  int guarded = 0;
  std::vector<weft::fiber<int>> all;
  for (int i = 0; i < 60; ++i) {
    all.push_back(spawn(mixture(i, lock, guarded)));
    all.push_back(weft::spawn([&, i] { return weft::co::block_on(mixture(i, lock, guarded)); }));
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    all[i].join();
    EXPECT_EQ(all[i].result(), static_cast<int>(i / 2));
  }
  EXPECT_EQ(guarded, 120 * 4);
}

TEST_F(CoBlocking, mixes_with_suspending_in_many_coroutines_and_fibers) {
  weft::testing::virtual_clock time;
  run(run_mixtures, {.clock = &time});
}

TEST_F(CoBlocking, mixes_in_every_order) {
  for (std::uint64_t seed = 0; seed < (under_asan || under_tsan ? 5u : 30u); ++seed) {
    SCOPED_TRACE(seed);
    weft::testing::virtual_clock time;
    run(run_mixtures, {.clock = &time, .order_seed = seed});
  }
}

TEST_F(CoBlocking, works_on_runners_of_the_stack_size_of_the_runtime) {
  weft::testing::virtual_clock time;
  run(run_mixtures, {.stack_size = std::size_t{16} * 1024 * 4, .clock = &time});
  run(
      [] {
        auto deep = spawn([]() -> task<> {
          use_stack(std::size_t{3} * 1024 * 1024);
          yield();
          use_stack(std::size_t{3} * 1024 * 1024);
          co_return;
        });
        auto small = weft::spawn({.stack_size = 64 * 1024}, [] { yield(); });
        auto large = weft::spawn({.stack_size = std::size_t{8} * 1024 * 1024}, [] { yield(); });
        deep.join();
        small.join();
        large.join();
      },
      {.stack_size = std::size_t{4} * 1024 * 1024});
}

TEST_F(CoBlocking, between_fibers_that_start_and_end_hands_stacks_on) {
  run([] {
    int ended = 0;
    std::vector<weft::any_fiber> all;
    for (int i = 0; i < 300; ++i) {
      all.emplace_back(weft::spawn([&, i] {
        if (i % 3 == 0) yield();
        ++ended;
      }));
      all.emplace_back(spawn([&, i]() -> task<> {
        if (i % 2 == 0) yield();
        if (i % 5 == 0) co_await weft::co::yield();
        if (i % 7 == 0) yield();
        ++ended;
      }));
    }
    for (auto& each : all) each.join();
    EXPECT_EQ(ended, 600);
    EXPECT_EQ(stacks(), 0u);
  });
}

TEST_F(CoBlocking, uses_an_idle_runner_again) {
  run([] {
    for (int i = 0; i < 1'000; ++i) {
      auto child = spawn([]() -> task<> {
        yield();
        co_await weft::co::yield();
      });
      auto other = spawn([]() -> task<> { co_return; });
      child.join();
      other.join();
    }
    EXPECT_EQ(stacks(), 0u);
  });
}

TEST_F(CoBlocking, in_a_catch_block_keeps_the_exception_while_others_throw) {
  run([] {
    auto thrower = [](int which) -> task<> {
      for (int i = 0; i < 20; ++i) {
        try {
          throw std::runtime_error(std::to_string(which * 100 + i));
        } catch (const std::runtime_error& error) {
          yield();
          EXPECT_EQ(error.what(), std::to_string(which * 100 + i));
          try {
            if (i % 2 == 0) throw;
            throw std::logic_error("inner");
          } catch (const std::exception& inner) {
            yield();
            EXPECT_EQ(inner.what(), i % 2 == 0 ? std::to_string(which * 100 + i) : "inner");
          }
          EXPECT_TRUE(std::current_exception());
        }
        EXPECT_FALSE(std::current_exception());
        EXPECT_EQ(std::uncaught_exceptions(), 0);
        co_await weft::co::yield();
        EXPECT_FALSE(std::current_exception());
      }
    };
    std::vector<weft::fiber<>> all;
    for (int i = 0; i < 20; ++i) {
      all.push_back(spawn(thrower(i)));
      all.push_back(weft::spawn([&, i] { weft::co::block_on(thrower(i)); }));
    }
    for (auto& each : all) {
      each.join();
      EXPECT_NO_THROW(each.result());
    }
  });
}

TEST_F(CoBlocking, in_a_destructor_during_unwinding_counts_no_exception_of_others) {
  run([] {
    struct yields_at_end {
      ~yields_at_end() {
        EXPECT_EQ(std::uncaught_exceptions(), 1);
        yield();
        EXPECT_EQ(std::uncaught_exceptions(), 1);
      }
    };
    auto unwinding = []() -> task<> {
      const yields_at_end last;
      co_await weft::co::yield();
      throw std::runtime_error("reason");
    };
    auto calm = []() -> task<> {
      for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(std::uncaught_exceptions(), 0);
        co_await weft::co::yield();
        yield();
      }
    };
    std::vector<weft::fiber<>> failing;
    std::vector<weft::fiber<>> others;
    for (int i = 0; i < 10; ++i) {
      failing.push_back(spawn(unwinding()));
      others.push_back(spawn(calm()));
    }
    for (auto& each : failing) {
      each.join();
      EXPECT_THROW(each.result(), std::runtime_error);
    }
    for (auto& each : others) each.join();
  });
}

TEST_F(CoBlocking, in_destructors_at_the_end_of_a_task_lets_others_run) {
  run([] {
    struct yields_at_end {
      ~yields_at_end() {
        for (int i = 0; i < 3; ++i) yield();
      }
    };
    int ended = 0;
    std::vector<weft::fiber<>> all;
    for (int i = 0; i < 20; ++i) {
      auto body = [](int& count, std::unique_ptr<yields_at_end>) -> task<> {
        co_await weft::co::yield();
        ++count;
      };
      all.push_back(spawn(body(ended, std::make_unique<yields_at_end>())));
      all.push_back(spawn([&, held = std::make_unique<yields_at_end>()]() -> task<> {
        ++ended;
        co_return;
      }));
    }
    all[0].request_cancel();  // before it has started
    for (auto& each : all) each.join();
    EXPECT_EQ(ended, 39);
  });
}

// ---- when there is no stack for another runner -------------------------------------------------

constexpr std::size_t mib = std::size_t{1024} * 1024;

// In address space.
std::size_t size_of_process() {
  std::ifstream file("/proc/self/statm");
  std::size_t pages = 0;
  file >> pages;
  return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

#define WEFT_REQUIRE(condition)                                                                    \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      std::fprintf(stderr, "line %d: not so: %s\n", __LINE__, #condition);                         \
      std::_Exit(1);                                                                               \
    }                                                                                              \
  } while (false)

// Runs `body` in a runtime whose stacks are so large that only a few are to be had.
template <class Body>
void run_with_few_stacks(Body body) {
  weft::runtime worker{{.stack_size = 64 * mib}};
  worker.run([&] {
    rlimit limit{};
    ::getrlimit(RLIMIT_AS, &limit);
    const rlimit narrow{size_of_process() + 300 * mib, limit.rlim_max};
    WEFT_REQUIRE(::setrlimit(RLIMIT_AS, &narrow) == 0);
    body([&] { ::setrlimit(RLIMIT_AS, &limit); });
  });
  std::_Exit(0);
}

TEST_F(CoBlockingDeath, without_a_stack_for_another_runner_the_others_wait_for_one) {
  if (under_asan || under_tsan) GTEST_SKIP() << "the sanitizers need the address space";
  EXPECT_EXIT(
      {
        enter_death_test();
        run_with_few_stacks([](auto&&) {
          int ended = 0;
          std::vector<weft::fiber<>> all;
          for (int i = 0; i < 100; ++i) {
            all.push_back(spawn([&, i]() -> task<> {
              weft::this_fiber::sleep_for(1ms * (i % 3));
              co_await weft::co::yield();
              yield();
              ++ended;
            }));
          }
          for (auto& each : all) each.join();
          WEFT_REQUIRE(ended == 100);
          WEFT_REQUIRE(stacks() < 10);
        });
      },
      ExitedWithCode(0), "");
}

TEST_F(CoBlockingDeath, one_that_yields_in_a_loop_leaves_its_stack_to_one_that_has_none) {
  if (under_asan || under_tsan) GTEST_SKIP() << "the sanitizers need the address space";
  EXPECT_EXIT(
      {
        enter_death_test();
        run_with_few_stacks([](auto&&) {
          weft::semaphore gate;
          bool opened = false;
          bool last_ran = false;
          std::vector<weft::fiber<>> all;
          for (int i = 0; i < 20; ++i) {
            all.push_back(spawn([&, i]() -> task<> {
              if (!opened) {
                gate.acquire();
                while (!last_ran) co_await weft::co::yield();
              }
              if (i == 19) last_ran = true;
            }));
          }
          weft::testing::all_blocked();

          opened = true;
          gate.release();  // to one of those that hold the stacks
          all.back().join();

          WEFT_REQUIRE(last_ran);
          gate.release(20);
          for (auto& each : all) each.join();
        });
      },
      ExitedWithCode(0), "");
}

TEST_F(CoBlockingDeath, those_that_have_no_stack_run_once_there_is_memory_again) {
  if (under_asan || under_tsan) GTEST_SKIP() << "the sanitizers need the address space";
  EXPECT_EXIT(
      {
        enter_death_test();
        run_with_few_stacks([](auto relieve) {
          weft::event go;
          int waiting = 0;
          std::vector<weft::fiber<>> all;
          for (int i = 0; i < 20; ++i) {
            all.push_back(spawn([&]() -> task<> {
              if (++waiting == 20) go.set();
              go.wait();
              co_return;
            }));
          }
          weft::testing::all_blocked();
          WEFT_REQUIRE(waiting < 20);

          relieve();
          for (auto& each : all) each.join();
        });
      },
      ExitedWithCode(0), "");
}

TEST_F(CoBlockingDeath, those_that_have_no_stack_get_one_though_a_fiber_spins) {
  if (under_asan || under_tsan) GTEST_SKIP() << "the sanitizers need the address space";
  EXPECT_EXIT(
      {
        enter_death_test();
        run_with_few_stacks([](auto relieve) {
          weft::event go;
          bool woken = false;
          std::vector<weft::fiber<>> all;
          for (int i = 0; i < 20; ++i) {
            all.push_back(spawn([&, i]() -> task<> {
              if (i == 19) {
                woken = true;
              } else {
                go.wait();
              }
              co_return;
            }));
          }
          weft::testing::all_blocked();
          WEFT_REQUIRE(!woken);

          relieve();
          while (!woken) yield();
          go.set();
          for (auto& each : all) each.join();
        });
      },
      ExitedWithCode(0), "");
}

TEST_F(CoBlockingDeath, a_spawn_without_a_stack_for_a_runner_is_an_error_of_the_spawner) {
  if (under_asan || under_tsan) GTEST_SKIP() << "the sanitizers need the address space";
  EXPECT_EXIT(
      {
        enter_death_test();
        run_with_few_stacks([](auto relieve) {
          weft::event go;
          auto block = [&]() -> task<> {
            go.wait();
            co_return;
          };
          std::vector<weft::fiber<>> all;
          std::error_code ec;
          while (!ec) {
            auto next = spawn({}, block, ec);
            if (!ec) all.push_back(std::move(next));
            yield();
          }
          WEFT_REQUIRE(ec == std::errc::not_enough_memory);
          WEFT_REQUIRE(all.size() > 1 && all.size() < 10);
          bool said_more = false;
          weft::set_diagnostics_sink([&](std::string_view) { said_more = true; });
          WEFT_REQUIRE(!spawn({}, block(), ec) && ec == std::errc::not_enough_memory);
          weft::set_diagnostics_sink({});
          WEFT_REQUIRE(!said_more);

          relieve();
          spawn(block).detach();
          go.set();
          for (auto& each : all) each.join();
        });
      },
      ExitedWithCode(0), "");
}

}  // namespace
