// A runtime whose tasks all wait does nothing: it makes no calls, and its threads are not woken. As
// the kernel counts it, over a while.
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <functional>
#include <optional>
#include <poll.h>
#include <string>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include <weft/co.hpp>
#include <weft/net.hpp>

#include "hazard/waits.hpp"

// Names that begin with two underscores are what --wrap asks for.
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming)
extern "C" {
int __real_epoll_wait(int epoll, epoll_event* events, int most, int timeout);
int __wrap_epoll_wait(int epoll, epoll_event* events, int most, int timeout);
}

namespace {

// Of all workers. Relaxed: only the number counts.
std::atomic<std::uint64_t> polls{0};

}  // namespace

int __wrap_epoll_wait(int epoll, epoll_event* events, int most, int timeout) {
  polls.fetch_add(1, std::memory_order_relaxed);
  return __real_epoll_wait(epoll, events, most, timeout);
}

// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)

namespace {

using namespace std::chrono_literals;
using namespace weft::test;
using weft::errc;
using weft::net::socket;
using weft::this_fiber::yield;

class Idle : public runtime_test, public testing::WithParamInterface<unsigned> {
protected:
  void SetUp() override {
    runtime_test::SetUp();
    if (under_tsan) GTEST_SKIP() << "a worker that sleeps looks for signals every 20 ms there";
  }
};

INSTANTIATE_TEST_SUITE_P(Workers, Idle, testing::Values(1U, 4U), testing::PrintToStringParamName());

void let_pass(std::chrono::milliseconds time) {
  ::poll(nullptr, 0, static_cast<int>(time.count()));
}

// How often threads have begun to wait.
std::uint64_t waits_of(const std::vector<pid_t>& threads) {
  std::uint64_t sum = 0;
  for (const pid_t each : threads) {
    std::ifstream status{"/proc/self/task/" + std::to_string(each) + "/status"};
    constexpr std::string_view label = "voluntary_ctxt_switches:";
    for (std::string line; std::getline(status, line);) {
      if (line.compare(0, label.size(), label) == 0) sum += std::stoull(line.substr(label.size()));
    }
  }
  return sum;
}

std::uint64_t signs_of_life(const std::vector<pid_t>& threads) {
  return polls.load(std::memory_order_relaxed) + waits_of(threads);
}

// Whether a runtime comes to rest, and then stays there: it may see once more to its stacks, or
// be woken by a timer that it has armed before.
void expect_rest(const std::vector<pid_t>& threads) {
  constexpr int looks = 200;
  int left = looks;
  std::uint64_t before = signs_of_life(threads);
  for (; left > 0; --left) {
    let_pass(20ms);
    if (before == std::exchange(before, signs_of_life(threads))) break;
  }
  EXPECT_GT(left, 0) << "no rest in " << looks << " looks";

  constexpr std::uint64_t few = 10;
  let_pass(300ms);
  EXPECT_LE(signs_of_life(threads) - before, few) << "in 300 ms";
}

// What a main function waits for, once all that it has spawned waits.
class look {
public:
  // By the main fiber.
  void begin() {
    weft::testing::all_blocked();
    begun_ = true;
    over_.wait();
  }

  // By a fiber that is to wait as long.
  void wait() { over_.wait(); }

  // By the thread that looks.
  void await_beginning() const {
    while (!begun_) let_pass(1ms);
  }

  void end() { over_.set(); }

private:
  std::atomic<bool> begun_ = false;
  weft::event over_;
};

// Runs `main_function` on a thread of its own, and looks when it has begun to wait for that.
void expect_rest_of(unsigned workers, const std::function<void(look& over)>& main_function) {
  std::vector<pid_t> threads(workers);
  look over;
  std::thread runs{[&] {
    weft::runtime instance{{.workers = workers}};
    instance.run([&] {
      for (unsigned i = 0; i < workers; ++i) {
        weft::spawn_on(i, [&threads, i] { threads[i] = ::gettid(); }).join();
      }
      main_function(over);
    });
  }};
  over.await_beginning();
  expect_rest(threads);
  over.end();
  runs.join();
}

unsigned any_worker(unsigned number) { return number % Idle::GetParam(); }

TEST_P(Idle, is_who_waits_for_events_channels_locks_and_times_far_away) {
  expect_rest_of(GetParam(), [](look& over) {
    weft::event never;
    weft::channel<int> channel;
    weft::semaphore none;
    std::vector<weft::fiber<>> waiting;
    for (unsigned i = 0; i < 4 * GetParam(); ++i) {
      const unsigned worker = any_worker(i);
      waiting.push_back(weft::spawn_on(worker, [&] { never.wait(); }));
      waiting.push_back(weft::spawn_on(worker, [&] { channel.receive(); }));
      waiting.push_back(weft::spawn_on(worker, [] { weft::this_fiber::sleep_for(24h); }));
      waiting.push_back(
          weft::co::spawn_on(worker, [&]() -> weft::co::task<> { co_await none.co_acquire(); }));
      waiting.push_back(weft::co::spawn_on(
          worker, []() -> weft::co::task<> { co_await weft::co::sleep_for(24h); }));
    }
    over.begin();
  });
}

TEST_P(Idle, is_who_waits_for_sockets) {
  expect_rest_of(GetParam(), [](look& over) {
    awaited_things all;
    std::vector<weft::fiber<>> waiting;
    for (unsigned i = 0; i < 4 * GetParam(); ++i) {
      const kind_of_wait& kind = all_kinds_of_wait[i % all_kinds_of_wait.size()];
      waiting.push_back(weft::spawn_on(any_worker(i), [&] { kind.wait(all); }));
      waiting.push_back(weft::co::spawn_on(any_worker(i), [&] { return kind.co_wait(all); }));
    }
    over.begin();
  });
}

// Sends a byte there and back, until the other end has gone.
void echo(socket& connection) {
  while (const auto data = connection.read_some_borrowed()) connection.write(data);
}

void ping(socket& connection, int times) {
  for (int i = 0; i < times; ++i) {
    connection.write("x");
    EXPECT_EQ(read_some_text(connection), "x");
  }
}

TEST_P(Idle, is_who_has_had_traffic) {
  expect_rest_of(GetParam(), [](look& over) {
    constexpr unsigned connections = 20;
    std::vector<socket_pair> pairs;
    for (unsigned i = 0; i < connections; ++i) {
      pairs.push_back(i % 2 == 0 ? weft_tcp_pair() : weft_unix_pair());
    }
    std::vector<weft::fiber<>> tasks;
    std::vector<weft::fiber<>> pinging;
    for (unsigned i = 0; i < connections; ++i) {
      tasks.push_back(weft::spawn_on(any_worker(i), [&each = pairs[i]] { echo(each.right); }));
      pinging.push_back(
          weft::spawn_on(any_worker(i + 1), [&each = pairs[i]] { ping(each.left, 200); }));
    }
    for (auto& each : pinging) {
      each.join();
      each.result();
    }
    over.begin();
    for (auto& each : pairs) each.left.close();
    for (auto& each : tasks) each.join();
  });
}

// What epoll tells of the end of a peer it would tell for ever, if it were asked so.
TEST_P(Idle, is_who_has_read_the_end_of_a_stream_and_keeps_the_socket) {
  expect_rest_of(GetParam(), [](look& over) {
    std::vector<weft::fiber<>> readers;
    std::vector<plain_pair> pairs;
    for (int i = 0; i < 8; ++i) pairs.push_back(i % 2 == 0 ? tcp_pair() : unix_pair());
    std::atomic<int> ended = 0;
    for (unsigned i = 0; i < pairs.size(); ++i) {
      readers.push_back(weft::spawn_on(any_worker(i), [&, &ours = pairs[i].ours] {
        std::error_code ec;
        EXPECT_EQ(read_some_text(ours, 10, ec), "");
        EXPECT_EQ(ec, errc::eof);
        ++ended;
        over.wait();
      }));
    }
    yield();
    for (auto& each : pairs) each.peer.reset();
    while (ended != 8) yield();
    over.begin();
    for (auto& each : readers) each.join();
  });
}

// The peer will send no more (RDHUP), and reads nothing either: the writer waits on.
TEST_P(Idle, is_who_waits_to_write_to_a_peer_that_has_shut_down_its_side) {
  expect_rest_of(GetParam(), [](look& over) {
    std::vector<plain_pair> pairs;
    std::vector<weft::fiber<>> writers;
    for (int i = 0; i < 4; ++i) pairs.push_back(i % 2 == 0 ? tcp_pair() : unix_pair());
    for (unsigned i = 0; i < pairs.size(); ++i) {
      fill(pairs[i].ours.native_handle());
      writers.push_back(weft::spawn_on(any_worker(i), [&, &ours = pairs[i].ours] {
        std::error_code ec;
        ours.write(pattern(std::size_t{16} << 20), ec);
        EXPECT_TRUE(ec);
      }));
      EXPECT_EQ(::shutdown(pairs[i].peer.get(), SHUT_WR), 0);
    }
    over.begin();
    for (auto& each : pairs) each.ours.close();
    for (auto& each : writers) each.join();
  });
}

// As above, of tasks that have ended by an exception, a timeout or a cancellation.
TEST_P(Idle, is_who_was_cancelled_and_timed_out_before) {
  expect_rest_of(GetParam(), [](look& over) {
    auto [ours, peer] = tcp_pair();
    for (unsigned i = 0; i < 20; ++i) {
      auto reader = weft::spawn_on(any_worker(i), [&, &from = ours] {
        std::error_code ec;
        const weft::timeout limit{1ms};
        read_some_text(from, 10, ec);
        EXPECT_TRUE(ec == errc::timed_out || ec == errc::cancelled);
      });
      if (i % 2 == 0) reader.request_cancel();
      reader.join();
    }
    over.begin();
  });
}

}  // namespace
