// Signals that come at any moment: while fibers switch, start and end, wait in sockets and throw;
// on stacks that have no room for a handler; and handlers that call weft.
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <ctime>
#include <fcntl.h>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include <weft/co.hpp>
#include <weft/net.hpp>

#include "net/net_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using namespace weft::test;
using weft::spawn_on;
using weft::net::socket;
using weft::this_fiber::yield;

constexpr unsigned workers = 2;

// ThreadSanitizer holds signals back until the next call that it knows.
constexpr int enough = under_tsan ? 50 : 1'000;

// ---- storms ------------------------------------------------------------------------------------

// Sends a signal to the thread that makes it, again and again.
class storm {
public:
  explicit storm(int signal) {
    sigevent what{};
    what.sigev_notify = SIGEV_THREAD_ID;
    what.sigev_signo = signal;
    what._sigev_un._tid = ::gettid();
    EXPECT_EQ(::timer_create(CLOCK_MONOTONIC, &what, &timer_), 0);
    constexpr long period = 100'000;  // nanoseconds
    const itimerspec often{{0, period}, {0, period}};
    EXPECT_EQ(::timer_settime(timer_, 0, &often, nullptr), 0);
  }

  storm(const storm&) = delete;
  storm& operator=(const storm&) = delete;

  ~storm() { ::timer_delete(timer_); }

private:
  timer_t timer_{};
};

// How a signal is handled while this exists.
class handling {
public:
  handling(int signal, void (*handler)(int), int flags) : signal_(signal) {
    struct sigaction wanted {};

    wanted.sa_handler = handler;
    wanted.sa_flags = flags;
    EXPECT_EQ(::sigaction(signal_, &wanted, &former_), 0);
  }

  handling(const handling&) = delete;
  handling& operator=(const handling&) = delete;

  ~handling() { ::sigaction(signal_, &former_, nullptr); }

private:
  const int signal_;

  struct sigaction former_ {};
};

std::atomic<int> handled{0};

extern "C" void count_in_storm(int /*signal*/) {
  // Uses a good deal of the stack that it runs on, as a real handler would.
  std::array<volatile char, 1024> local;
  for (auto& each : local) each = 1;
  handled.fetch_add(1, std::memory_order_relaxed);
}

bool has_had_enough() { return handled.load(std::memory_order_relaxed) >= enough; }

// ---- what goes on in the storm -----------------------------------------------------------------

void throw_and_catch(int number) {
  try {
    throw std::runtime_error{std::to_string(number)};
  } catch (const std::runtime_error& error) {
    yield();
    EXPECT_EQ(error.what(), std::to_string(number));
  }
}

// Sends numbers there and back, with waits in each direction, until there was enough of the storm.
void ping(socket& connection) {
  for (int i = 0; !has_had_enough(); ++i) {
    const std::string sent = std::to_string(1'000'000 + i);
    connection.write(sent);
    EXPECT_EQ(read_text(connection, sent.size()), sent);
  }
  connection.shutdown();
}

void echo(socket& connection) {
  while (const auto data = connection.read_some_borrowed()) connection.write(data);
}

weft::co::task<> co_echo(socket& connection) {
  while (const auto data = co_await connection.co_read_some_borrowed()) {
    co_await connection.co_write(data);
  }
}

struct connections {
  socket_pair by_fibers = weft_tcp_pair();
  socket_pair by_coroutine = weft_unix_pair();
};

void add_tasks(unsigned worker, connections& mine, std::vector<weft::fiber<>>& tasks) {
  const unsigned other = (worker + 1) % workers;
  tasks.push_back(spawn_on(worker, [&mine] { ping(mine.by_fibers.left); }));
  tasks.push_back(spawn_on(other, [&mine] { echo(mine.by_fibers.right); }));
  tasks.push_back(spawn_on(worker, [&mine] { ping(mine.by_coroutine.left); }));
  tasks.push_back(weft::co::spawn_on(other, [&mine] { return co_echo(mine.by_coroutine.right); }));
  tasks.push_back(spawn_on(worker, [] {
    for (int i = 0; !has_had_enough(); ++i) throw_and_catch(i);
  }));
  tasks.push_back(spawn_on(worker, [] {
    for (int i = 0; !has_had_enough(); ++i) {
      auto child = weft::spawn([i] { return i; });
      child.join();
      EXPECT_EQ(child.result(), i);
      if (i % 64 == 0) weft::this_fiber::sleep_for(1ms);
    }
  }));
}

class SignalStorm : public runtime_test, public testing::WithParamInterface<int> {};

std::string name_of_flags(const testing::TestParamInfo<int>& info) {
  return std::string{(info.param & SA_ONSTACK) != 0 ? "alternate_stack" : "own_stack"} +
         ((info.param & SA_RESTART) != 0 ? "_restarting" : "_interrupting");
}

INSTANTIATE_TEST_SUITE_P(Handlers, SignalStorm,
                         testing::Values(0, SA_RESTART, SA_ONSTACK, SA_ONSTACK | SA_RESTART),
                         name_of_flags);

TEST_P(SignalStorm, leaves_fibers_coroutines_sockets_and_exceptions_as_they_are) {
  handled = 0;
  const handling as_told{SIGUSR1, count_in_storm, GetParam()};
  run(
      [] {
        std::array<connections, workers> all;
        std::vector<weft::fiber<>> tasks;
        for (unsigned worker = 0; worker < workers; ++worker) {
          tasks.push_back(spawn_on(worker, [] {
            const storm here{SIGUSR1};
            while (!has_had_enough()) yield();
          }));
          add_tasks(worker, all[worker], tasks);
        }
        for (auto& each : tasks) {
          each.join();
          each.result();
        }
      },
      {.workers = workers});
  EXPECT_GE(handled.load(), enough);
}

// Its waits are in poll(2) and on a futex, which a signal interrupts.
TEST_P(SignalStorm, ends_no_wait_of_a_plain_thread) {
  handled = 0;
  const handling as_told{SIGUSR1, count_in_storm, GetParam()};
  run([] {
    auto [left, right] = weft_tcp_pair();
    weft::channel<int> numbers;
    int received = 0;
    std::thread stormy{[&, &connection = right] {
      const storm here{SIGUSR1};
      while (numbers.receive()) {
        ++received;
        EXPECT_EQ(read_text(connection, 4), "ping");
        connection.write("pong");
      }
    }};
    int sent = 0;
    for (; !has_had_enough(); ++sent) {
      numbers.send(sent);
      weft::this_fiber::sleep_for(1ms);  // it waits
      left.write("ping");
      EXPECT_EQ(read_text(left, 4), "pong");
    }
    numbers.close();
    // Not joined on this thread before it has ended: it may need this worker.
    while (received != sent) yield();
    stormy.join();
  });
}

// ---- stacks without room -----------------------------------------------------------------------

constexpr std::size_t smallest_stack = std::size_t{16} * 1024;

extern "C" void count_on_a_large_stack(int /*signal*/) {
  std::array<volatile char, std::size_t{8} * 1024> local;
  for (auto& each : local) each = 1;
  handled.fetch_add(1, std::memory_order_relaxed);
}

// Waits with all but two KiB or so of the smallest stack in use, of which the guard is a part.
[[gnu::noinline]] void wait_on_a_full_stack() {
  std::array<volatile char, std::size_t{8} * 1024> local;
  for (auto& each : local) each = 1;
  while (!has_had_enough()) yield();
  EXPECT_EQ(local[0], 1);
}

using SignalStack = runtime_test;

TEST_F(SignalStack, alternate_is_what_a_fiber_with_the_smallest_one_needs_for_a_large_handler) {
  handled = 0;
  const handling on_the_other{SIGUSR1, count_on_a_large_stack, SA_ONSTACK | SA_RESTART};
  run(
      [] {
        std::vector<weft::fiber<>> tasks;
        for (unsigned i = 0; i < 4 * workers; ++i) {
          const weft::spawn_options options{.stack_size = smallest_stack};
          tasks.push_back(spawn_on(i % workers, options, wait_on_a_full_stack));
        }
        for (unsigned worker = 0; worker < workers; ++worker) {
          tasks.push_back(spawn_on(worker, [] {
            const storm here{SIGUSR1};
            while (!has_had_enough()) yield();
          }));
        }
        for (auto& each : tasks) each.join();
      },
      {.workers = workers});
  EXPECT_GE(handled.load(), enough);
}

// Raises the signal with less of the stack left than the kernel saves of the registers.
[[gnu::noinline]] void raise_on_a_full_stack(int signal) {
  std::array<volatile char, std::size_t{9} * 1024> local;
  for (auto& each : local) each = 1;
  ::raise(signal);
  if (local[0] != 1) std::_Exit(9);
}

using SignalStackDeath = SignalStack;

TEST_F(SignalStackDeath, alternate_is_where_weft_handles_the_request_to_stop) {
  if (under_asan || under_tsan) GTEST_SKIP() << "stacks are larger there, and frames too";
  EXPECT_EXIT(
      {
        enter_death_test();
        ::raise(0);  // finds the function; that takes some stack the first time
        weft::run([] {
          const weft::spawn_options options{.stack_size = smallest_stack};
          weft::spawn(options, [] { raise_on_a_full_stack(SIGTERM); }).join();
          weft::this_fiber::sleep_for(24h);
        });
      },
      testing::KilledBySignal(SIGTERM), "");
}

// The signal would be lost, and the process would go on.
TEST_F(SignalStackDeath, of_a_fiber_without_room_for_a_handler_of_the_program_ends_the_process) {
  if (under_asan || under_tsan) GTEST_SKIP() << "stacks are larger there, and frames too";
  EXPECT_EXIT(
      {
        enter_death_test();
        ::raise(0);
        const handling without_its_own(SIGUSR1, count_in_storm, SA_RESTART);
        run([] {
          const weft::spawn_options options{.stack_size = smallest_stack};
          weft::spawn(options, [] { raise_on_a_full_stack(SIGUSR1); }).join();
        });
        std::_Exit(0);
      },
      testing::KilledBySignal(SIGSEGV), "");
}

// ---- handlers that call weft -------------------------------------------------------------------

std::atomic<int> nowhere{-1};  // a descriptor

extern "C" void dump_in_storm(int /*signal*/) {
  const int saved_errno = errno;
  weft::dump(nowhere.load(std::memory_order_relaxed));
  handled.fetch_add(1, std::memory_order_relaxed);
  errno = saved_errno;
}

using SignalHandler = runtime_test;

TEST_F(SignalHandler, may_dump_at_any_moment_on_every_worker) {
  handled = 0;
  const unique_fd null{::open("/dev/null", O_WRONLY | O_CLOEXEC)};
  nowhere = null.get();
  const handling dumps{SIGUSR1, dump_in_storm, SA_ONSTACK | SA_RESTART};
  run(
      [] {
        std::array<connections, workers> all;
        std::vector<weft::fiber<>> tasks;
        for (unsigned worker = 0; worker < workers; ++worker) {
          tasks.push_back(spawn_on(worker, [] {
            const storm here{SIGUSR1};
            while (!has_had_enough()) yield();
          }));
          add_tasks(worker, all[worker], tasks);
        }
        for (auto& each : tasks) {
          each.join();
          each.result();
        }
      },
      {.workers = workers});
}

std::atomic<weft::runtime*> to_be_stopped{nullptr};

extern "C" void stop_in_storm(int /*signal*/) {
  handled.fetch_add(1, std::memory_order_relaxed);
  if (auto* const target = to_be_stopped.load(std::memory_order_acquire)) target->request_stop();
}

// Each run is stopped somewhere: before it has begun, in its waits, at its end.
TEST_F(SignalHandler, may_ask_a_runtime_to_stop_at_any_moment_of_its_runs) {
  handled = 0;
  const handling stops{SIGUSR1, stop_in_storm, 0};
  const storm here{SIGUSR1};
  int cancelled = 0;
  for (int round = 0; round < (under_tsan ? 20 : 200); ++round) {
    weft::runtime instance{{.workers = workers}};
    to_be_stopped.store(&instance, std::memory_order_release);
    instance.run([&] {
      auto [left, right] = weft_unix_pair();
      auto other = spawn_on(1, [&connection = right] {
        std::error_code gone;
        while (!gone) {
          const std::string text = read_some_text(connection, 1, gone);
          if (!gone) connection.write(text, gone);
        }
      });
      std::error_code ec;
      while (!ec) {
        left.write("x", ec);
        if (!ec) read_some_text(left, 1, ec);
      }
      EXPECT_EQ(ec, weft::errc::cancelled);
      ++cancelled;
      left.close();
    });
    to_be_stopped.store(nullptr, std::memory_order_release);
  }
  EXPECT_EQ(cancelled, under_tsan ? 20 : 200);
}

}  // namespace
