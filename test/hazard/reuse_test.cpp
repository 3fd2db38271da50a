// Numbers of descriptors that come again at once, with two workers that close, open, wait and poll
// at the same time. (The orders of these events one by one: close_test of test/net and the models
// of descriptors.)
#include <array>
#include <atomic>
#include <cerrno>
#include <optional>
#include <span>
#include <string>
#include <sys/socket.h>
#include <system_error>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <weft/co.hpp>
#include <weft/net.hpp>

#include "net/net_fixture.hpp"

// Names that begin with two underscores are what --wrap asks for.
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming)
extern "C" {
ssize_t __real_recv(int fd, void* buffer, size_t size, int flags);
ssize_t __wrap_recv(int fd, void* buffer, size_t size, int flags);
}

namespace {

// Calls on this thread that have found nothing.
constinit thread_local int empty_receives = 0;

}  // namespace

ssize_t __wrap_recv(int fd, void* buffer, size_t size, int flags) {
  const ssize_t count = __real_recv(fd, buffer, size, flags);
  if (count < 0 && errno == EAGAIN) ++empty_receives;
  return count;
}

// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)

namespace {

using namespace weft::test;
using weft::errc;
using weft::spawn_on;
using weft::net::socket;
using weft::this_fiber::yield;

// A round costs twenty times as much, and more, under a sanitizer.
constexpr int factor = under_asan || under_tsan ? 50 : 1;
constexpr int reuses = 1'000'000 / factor;
constexpr int shutdowns = 100'000 / factor;

class Reuse : public runtime_test {};

enum class ending { close, message_and_close, shutdown_and_close, message_and_ghost };

constexpr int endings = 4;

// What one task opens and waits on, and another closes, in turns: one connection after the other.
struct couple {
  socket ours;
  unique_fd peer;
  int number = 0;
  bool reads_alone = true;  // on its worker
  weft::semaphore opened;
  weft::semaphore closed;
};

// Ends one wait after the other, each in another way, or all in the same. A ghost, a duplicate of
// the descriptor, keeps the connection and what epoll knows of it: what comes there is reported
// under the former number.
class closer {
public:
  closer(couple& shared, int rounds, std::optional<ending> always)
      : shared_(shared), rounds_(rounds), always_(always) {}

  void run() {
    for (int i = 0; i < rounds_; ++i) {
      shared_.opened.acquire();
      end(always_.value_or(static_cast<ending>(i % endings)), i % 3 == 0);
      shared_.closed.release();
    }
  }

private:
  // With a look at what epoll knows before the close, or at once.
  void end(ending how, bool after_a_poll) {
    if (ghost_) send_all(ghost_peer_, "stale");
    if (how == ending::message_and_close || how == ending::message_and_ghost) {
      send_all(shared_.peer, std::to_string(shared_.number));
    }
    if (how == ending::message_and_ghost) {
      ghost_ = unique_fd{::dup(shared_.ours.native_handle())};
      ghost_peer_ = unique_fd{::dup(shared_.peer.get())};
    } else if (how == ending::shutdown_and_close) {
      shared_.ours.shutdown(socket::side::both);
    }
    if (after_a_poll) yield();
    shared_.ours.close();
  }

  couple& shared_;
  const int rounds_;
  const std::optional<ending> always_;
  unique_fd ghost_;
  unique_fd ghost_peer_;
};

void open_next(couple& shared, int number) {
  std::array<int, 2> fds{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()), 0);
  shared.ours = socket::adopt(fds[0]);
  shared.peer = unique_fd{fds[1]};
  shared.number = number;
  empty_receives = 0;
  shared.opened.release();
}

// Whatever is read is of the connection of this round; nobody is woken for what is of another: a
// read that waits has looked once, before.
void expect_own(const couple& shared, const std::string& got, std::error_code ec, int number) {
  EXPECT_TRUE(!shared.reads_alone || empty_receives <= 1) << "round " << number;
  if (ec) {
    EXPECT_TRUE(ec == errc::closed || ec == errc::eof) << ec.message();
    EXPECT_EQ(got, "");
  } else {
    EXPECT_EQ(got, std::to_string(number));
  }
}

void open_and_read(couple& shared, int rounds) {
  for (int i = 0; i < rounds; ++i) {
    open_next(shared, i);
    if (i % 5 == 0) yield();  // it may be closed by then
    std::error_code ec;
    const std::string got = read_some_text(shared.ours, 32, ec);
    expect_own(shared, got, ec, i);
    shared.closed.acquire();
  }
}

weft::co::task<> co_open_and_read(couple& shared, int rounds) {
  for (int i = 0; i < rounds; ++i) {
    open_next(shared, i);
    if (i % 5 == 0) co_await weft::co::yield();
    std::error_code ec;
    std::array<std::byte, 32> buffer;
    const std::size_t count = co_await shared.ours.co_read_some(buffer, ec);
    expect_own(shared, text_of(std::span{buffer}.first(count)), ec, i);
    co_await shared.closed.co_acquire();
  }
}

weft::fiber<> as_fiber(unsigned worker, couple& shared, int rounds) {
  return spawn_on(worker, [&shared, rounds] { open_and_read(shared, rounds); });
}

weft::fiber<> as_coroutine(unsigned worker, couple& shared, int rounds) {
  return weft::co::spawn_on(worker, [&shared, rounds] { return co_open_and_read(shared, rounds); });
}

constexpr unsigned workers = 2;

// Numbers that one worker has closed are taken by both, at any moment.
template <class SpawnReader>
void reuse_numbers(int rounds, SpawnReader&& spawn_reader) {
  std::array<couple, workers> couples;
  std::vector<weft::fiber<>> tasks;
  for (unsigned worker = 0; worker < workers; ++worker) {
    const int of_each = rounds / static_cast<int>(workers);
    couple& shared = couples[worker];
    tasks.push_back(spawn_reader(worker, shared, of_each));
    tasks.push_back(spawn_on(worker, [=, &shared] { closer{shared, of_each, {}}.run(); }));
  }
  for (auto& each : tasks) {
    each.join();
    each.result();
  }
}

// Each worker closes what the other one reads. Many couples, so that a worker which has lost its
// processor keeps the other one waiting for many rounds at a time.
template <class SpawnReader>
void reuse_across(int rounds, SpawnReader&& spawn_reader, std::optional<ending> always = {}) {
  std::array<couple, 64> couples;
  std::vector<weft::fiber<>> tasks;
  for (unsigned i = 0; i < couples.size(); ++i) {
    const int of_each = rounds / static_cast<int>(couples.size());
    couple& shared = couples[i];
    shared.reads_alone = false;
    tasks.push_back(spawn_reader(i % workers, shared, of_each));
    tasks.push_back(spawn_on((i + 1) % workers, [=, &shared] {
      closer{shared, of_each, always}.run();
    }));
  }
  for (auto& each : tasks) {
    each.join();
    each.result();
  }
}

// A million in four parts, each with a watchdog of its own.
constexpr int parts = 4;

class ReuseOften : public Reuse, public testing::WithParamInterface<int> {};

INSTANTIATE_TEST_SUITE_P(Parts, ReuseOften, testing::Range(0, parts));

TEST_P(ReuseOften, of_numbers_by_two_workers_wakes_nobody_but_who_waits_on_them) {
  run([] { reuse_numbers(reuses / parts, as_fiber); }, {.workers = workers});
}

TEST_F(Reuse, of_numbers_by_coroutines_of_two_workers_wakes_nobody_else_either) {
  run([] { reuse_numbers(reuses / parts, as_coroutine); }, {.workers = workers});
}

TEST_F(Reuse, of_numbers_that_the_other_worker_has_closed_gives_nobody_the_bytes_of_others) {
  run([] { reuse_across(shutdowns, as_fiber); }, {.workers = workers});
}

TEST_F(Reuse, after_a_shutdown_and_a_close_by_the_other_worker_finds_every_reader_woken) {
  run([] { reuse_across(shutdowns, as_fiber, ending::shutdown_and_close); }, {.workers = workers});
}

TEST_F(Reuse, after_a_shutdown_and_a_close_by_the_other_worker_finds_every_coroutine_woken) {
  run([] { reuse_across(shutdowns, as_coroutine, ending::shutdown_and_close); },
      {.workers = workers});
}

}  // namespace
