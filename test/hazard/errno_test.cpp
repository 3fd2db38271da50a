// errno and thread_local objects across waits, as optimisers see them: they take the addresses of
// both once in a function and use them after the wait. These tests are also a program of their own
// in which all of weft is compiled with -O3 -flto -fPIC: hazard_lto_test.
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <fcntl.h>
#include <string>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <weft/co.hpp>
#include <weft/fiber.hpp>
#include <weft/net.hpp>

#include "support/runtime_fixture.hpp"
#include "support/tcp.hpp"

namespace {

using namespace std::chrono_literals;
using weft::spawn;
using weft::spawn_on;
using weft::test::under_asan;
using weft::test::under_tsan;
using weft::test::unique_fd;
using weft::this_fiber::yield;

constexpr unsigned workers = 4;
constexpr int rounds = 200;

class Errno : public weft::test::runtime_test {};

class ThreadLocal : public weft::test::runtime_test {};

// ---- calls that fail, each in its own way ------------------------------------------------------

struct failing_call {
  int error;
  int (*call)();
};

constexpr std::array<failing_call, 4> failing_calls{{
    {EBADF, [] { return ::close(-1); }},
    {ENOENT, [] { return ::open("/there/is/none", O_RDONLY | O_CLOEXEC); }},
    {EEXIST, [] { return ::mkdir("/", 0); }},
    {EINVAL, [] { return ::ftruncate(-1, -1); }},
}};

void fail_in_some_way(unsigned number) {
  const failing_call& chosen = failing_calls[number % failing_calls.size()];
  EXPECT_EQ(chosen.call(), -1);
  EXPECT_EQ(errno, chosen.error);
}

// ---- waits of every kind -----------------------------------------------------------------------

// Two tasks on one worker that keep each other waiting.
struct partners {
  weft::event first;
  weft::channel<int> there;
  weft::channel<int> back{1};
  weft::semaphore turns;
  weft::mutex lock;
};

// Waits for its partner, once in each way; the other half of partner().
template <class BeforeEach>
void wait_in_every_way(partners& shared, BeforeEach&& look) {
  shared.first.wait();
  look("event");
  shared.there.send(1);
  look("send");
  shared.back.receive();
  look("receive");
  shared.turns.acquire();
  look("semaphore");
  {
    const std::lock_guard hold{shared.lock};
    look("mutex");
  }
  weft::this_fiber::sleep_for(1ms);
  look("sleep");
  yield();
  look("yield");
}

void partner(partners& shared, unsigned number) {
  const auto fail = [&] { fail_in_some_way(++number); };
  fail();
  shared.first.set();
  yield();
  fail();
  shared.there.receive();
  yield();
  fail();
  shared.back.send(1);
  {
    const std::lock_guard hold{shared.lock};
    shared.turns.release();
    yield();
    fail();
  }
  yield();
  fail();
}

// On each of the workers.
template <class Function>
void on_all_workers(const Function& function) {
  std::vector<weft::fiber<>> each;
  for (unsigned i = 0; i < workers; ++i) {
    each.push_back(spawn_on(i, [&function, i] { function(i); }));
  }
  for (auto& one : each) {
    one.join();
    one.result();
  }
}

// All in one function: the compiler may keep the address of errno over all of these waits.
TEST_F(Errno, of_a_call_that_failed_is_read_after_waits_of_every_kind) {
  run(
      [] {
        on_all_workers([](unsigned worker) {
          for (unsigned round = 0; round < rounds; ++round) {
            partners shared;
            auto other = spawn([&] { partner(shared, worker + round); });
            const failing_call& mine = failing_calls[(worker + round) % failing_calls.size()];
            EXPECT_EQ(mine.call(), -1);
            wait_in_every_way(shared, [&](const char* wait) {
              ASSERT_EQ(errno, mine.error) << "after a wait for " << wait;
            });
            other.join();
            ASSERT_EQ(errno, mine.error) << "after a join";
          }
        });
      },
      {.workers = workers});
}

TEST_F(Errno, of_one_fiber_is_not_that_of_a_call_that_fails_in_another) {
  run(
      [] {
        on_all_workers([](unsigned /*worker*/) {
          std::vector<weft::fiber<>> fibers;
          for (unsigned i = 0; i < 50; ++i) {
            fibers.push_back(spawn([i] {
              const failing_call& mine = failing_calls[i % failing_calls.size()];
              for (unsigned round = 0; round < rounds; ++round) {
                const int before = errno;
                if (round != 0) {
                  ASSERT_EQ(before, mine.error);
                }
                EXPECT_EQ(mine.call(), -1);
                yield();
                ASSERT_EQ(errno, mine.error);
              }
            }));
          }
          for (auto& each : fibers) each.join();
        });
      },
      {.workers = workers});
}

// The wait is inside the operation that fails, and others fail in the meantime.
TEST_F(Errno, of_an_operation_that_failed_after_a_wait_is_its_own) {
  run([] {
    for (unsigned round = 0; round < rounds; ++round) {
      const unique_fd listener = weft::test::listen_tcp();
      unique_fd peer = weft::test::connect_tcp(weft::test::local_port(listener));
      auto ours = weft::net::socket::adopt(weft::test::accept_one(listener).release());
      auto reader = spawn([&] {
        std::array<std::byte, 8> buffer;
        std::error_code ec;
        EXPECT_EQ(ours.read_some(buffer, ec), 0u);
        return ec;
      });
      yield();
      const linger at_once{1, 0};
      ASSERT_EQ(::setsockopt(peer.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
      peer.reset();
      while (!reader.done()) {
        fail_in_some_way(round);
        yield();
      }
      EXPECT_EQ(reader.result(), std::errc::connection_reset);
    }
  });
}

// ---- threads -----------------------------------------------------------------------------------

thread_local std::uint64_t counter = 0;

// All in one function, again.
void switch_many_times(std::uint64_t switches) {
  const auto* const counter_before = &counter;
  const auto* const errno_before = &errno;
  const auto thread = ::gettid();
  const auto counted_before = counter;
  for (std::uint64_t i = 1; i <= switches; ++i) {
    ++counter;
    yield();
    if (i % 64 != 0) continue;
    ASSERT_EQ(::syscall(SYS_gettid), thread);
    ASSERT_EQ(&counter, counter_before);
    ASSERT_EQ(&errno, errno_before);
  }
  EXPECT_GE(counter - counted_before, switches) << "those of others on this thread count, too";
}

constexpr std::uint64_t all_switches = under_asan || under_tsan ? 100'000 : 1'000'000;

TEST_F(ThreadLocal, objects_and_errno_stay_where_they_are_in_a_million_switches) {
  run(
      [] {
        constexpr unsigned fibers_a_worker = 5;
        on_all_workers([](unsigned /*worker*/) {
          std::vector<weft::fiber<>> fibers;
          for (unsigned i = 0; i < fibers_a_worker; ++i) {
            fibers.push_back(
                spawn([] { switch_many_times(all_switches / workers / fibers_a_worker); }));
          }
          for (auto& each : fibers) each.join();
        });
      },
      {.workers = workers});
}

TEST_F(ThreadLocal, objects_stay_where_they_are_over_waits_that_another_worker_ends) {
  run(
      [] {
        constexpr int messages = under_asan || under_tsan ? 2'000 : 20'000;
        std::vector<weft::channel<int>> ring(workers);
        on_all_workers([&](unsigned worker) {
          const auto* const counter_before = &counter;
          const auto* const errno_before = &errno;
          const auto thread = ::gettid();
          // Worker 0 begins with a message that nobody has sent it, and the last one goes nowhere.
          for (int i = 0; i < messages; ++i) {
            if (worker != 0 || i != 0) {
              ASSERT_TRUE(ring[worker].receive().has_value());
            }
            ASSERT_EQ(&counter, counter_before);
            ASSERT_EQ(&errno, errno_before);
            ASSERT_EQ(::gettid(), thread);
            if (worker != workers - 1 || i != messages - 1) {
              ring[(worker + 1) % workers].send(i);
            }
          }
        });
      },
      {.workers = workers});
}

// errno is not kept across a co_await; where it is, and the thread, are.
TEST_F(ThreadLocal, objects_and_errno_stay_where_they_are_across_the_awaits_of_coroutines) {
  run(
      [] {
        std::vector<weft::fiber<>> tasks;
        for (unsigned worker = 0; worker < workers; ++worker) {
          for (int i = 0; i < 5; ++i) {
            tasks.push_back(weft::co::spawn_on(worker, []() -> weft::co::task<> {
              const auto* const counter_before = &counter;
              const auto* const errno_before = &errno;
              const auto thread = ::gettid();
              for (std::uint64_t turn = 0; turn < all_switches / workers / 5; ++turn) {
                ++counter;
                co_await weft::co::yield();
                if (turn % 64 != 0) continue;
                EXPECT_EQ(::gettid(), thread);
                EXPECT_EQ(&counter, counter_before);
                EXPECT_EQ(&errno, errno_before);
              }
            }));
          }
        }
        for (auto& each : tasks) {
          each.join();
          each.result();
        }
      },
      {.workers = workers});
}

// A call that blocks is a wait as a fiber's.
TEST_F(Errno, of_a_call_that_failed_in_a_coroutine_is_read_after_a_call_that_blocks) {
  run(
      [] {
        std::vector<weft::fiber<>> tasks;
        for (unsigned worker = 0; worker < workers; ++worker) {
          for (unsigned i = 0; i < 8; ++i) {
            tasks.push_back(weft::co::spawn_on(worker, [i]() -> weft::co::task<> {
              const failing_call& mine = failing_calls[i % failing_calls.size()];
              for (int round = 0; round < rounds; ++round) {
                EXPECT_EQ(mine.call(), -1);
                yield();
                EXPECT_EQ(errno, mine.error);
                weft::this_fiber::sleep_for(i % 2 == 0 ? 1ms : 0ms);
                EXPECT_EQ(errno, mine.error);
                co_await weft::co::yield();
              }
            }));
          }
        }
        for (auto& each : tasks) {
          each.join();
          each.result();
        }
      },
      {.workers = workers});
}

}  // namespace
