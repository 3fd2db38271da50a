// fork(2) beside sockets: the parent and the child share descriptors, and no poller.
#include <array>
#include <chrono>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include <gtest/gtest.h>

#include <weft/net.hpp>

#include "hazard/forked.hpp"

namespace {

using namespace std::chrono_literals;
using weft::spawn;
using weft::net::socket;
using weft::test::end_of;
using weft::test::expect_in_child;
using weft::test::fork_and;
using weft::test::require;
using weft::this_fiber::yield;

class ForkNet : public weft::test::fork_test {};

struct pair {
  socket ours;
  socket peer;
};

pair connected() {
  std::array<int, 2> ends{};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  return {socket::adopt(ends[0]), socket::adopt(ends[1])};
}

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text});
}

std::string read_text(socket& from, std::size_t size) {
  std::string result(size, '\0');
  from.read(std::as_writable_bytes(std::span{result}));
  return result;
}

void echo_once(socket& from, socket& to) {
  auto echoes = spawn([&] { to.write(bytes_of(read_text(to, 5))); });
  yield();
  from.write(bytes_of("hello"));
  require(read_text(from, 5) == "hello", "an echo comes back");
  echoes.join();
}

TEST_F(ForkNet, both_go_on_with_sockets_of_their_own) {
  run([] {
    pair mine = connected();
    auto reader = spawn([&] { return read_text(mine.ours, 2); });
    yield();

    expect_in_child([] {
      pair own = connected();
      echo_once(own.ours, own.peer);
    });
    mine.peer.write(bytes_of("ok"));
    reader.join();
    EXPECT_EQ(reader.result(), "ok");
  });
}

TEST_F(ForkNet, what_the_child_closes_stays_registered_in_the_parent) {
  run([] {
    pair mine = connected();
    auto reader = spawn([&] { return read_text(mine.ours, 2); });
    yield();

    expect_in_child([&] {
      mine.ours.close();
      mine.peer.close();
      pair own = connected();  // with their numbers
      echo_once(own.ours, own.peer);
    });
    mine.peer.write(bytes_of("ok"));
    reader.join();
    EXPECT_EQ(reader.result(), "ok");
  });
}

TEST_F(ForkNet, what_the_child_gives_away_stays_registered_in_the_parent) {
  run([] {
    pair mine = connected();
    auto reader = spawn([&] { return read_text(mine.ours, 2); });
    yield();

    expect_in_child([&] { static_cast<void>(mine.ours.release()); });
    mine.peer.write(bytes_of("ok"));
    reader.join();
    EXPECT_EQ(reader.result(), "ok");
  });
}

TEST_F(ForkNet, the_child_may_use_a_socket_that_another_fiber_was_waiting_for) {
  run([] {
    pair mine = connected();
    auto reader = spawn([&] { return read_text(mine.ours, 2); });
    yield();

    expect_in_child([&] {
      auto writes = spawn([&] { mine.peer.write(bytes_of("child")); });
      require(read_text(mine.ours, 5) == "child", "it reads what no other fiber reads");
      writes.join();
    });
    mine.peer.write(bytes_of("ok"));
    reader.join();
    EXPECT_EQ(reader.result(), "ok");
  });
}

// As a server that forks for each connection does.
TEST_F(ForkNet, a_child_serves_the_connection_that_its_parent_has_accepted) {
  run([] {
    weft::net::listener listener{weft::net::endpoint::parse("127.0.0.1:0")};
    std::vector<pid_t> children;
    auto server = spawn([&] {
      for (int i = 0; i < 3; ++i) {
        socket peer = listener.accept();
        children.push_back(fork_and([&] {
          peer.write(bytes_of(read_text(peer, 5)));
          ::_exit(EXIT_SUCCESS);
        }));
      }
    });
    for (int i = 0; i < 3; ++i) {
      socket client = socket::connect(listener.local_endpoint());
      client.write(bytes_of("hello"));
      EXPECT_EQ(read_text(client, 5), "hello");
    }
    server.join();
    for (const pid_t each : children) EXPECT_EQ(end_of(each), EXIT_SUCCESS);
  });
}

TEST_F(ForkNet, timers_and_sockets_of_the_child_are_its_own) {
  run([] {
    pair mine = connected();
    // The poller of the parent is there, and its timers.
    auto sleeper = spawn([] { weft::this_fiber::sleep_for(1h); });
    auto reader = spawn([&] { return read_text(mine.ours, 1); });
    yield();

    expect_in_child([&] {
      std::error_code ec;
      std::array<std::byte, 1> one{};
      weft::timeout limit{1ms};
      static_cast<void>(mine.ours.read_some(one, ec));
      require(ec == weft::errc::timed_out, "a timeout ends a read");
    });
    sleeper.request_cancel();
    sleeper.join();
    mine.peer.write(bytes_of("x"));
    reader.join();
  });
}

TEST_F(ForkNet, on_one_of_several_workers_leaves_that_one_its_sockets) {
  run(
      [] {
        pair mine = connected();
        auto reader = weft::spawn_on(0, [&] { return read_text(mine.ours, 2); });
        weft::spawn_on(1, [&] {
          weft::this_fiber::sleep_for(1ms);
          expect_in_child([&] {
            mine.ours.close();
            pair own = connected();
            echo_once(own.ours, own.peer);
          });
          mine.peer.write(bytes_of("ok"));
        }).join();
        reader.join();
        EXPECT_EQ(reader.result(), "ok");
      },
      {.workers = 2});
}

TEST_F(ForkNet, before_it_runs_again_leaves_a_runtime_that_had_a_poller_one_of_its_own) {
  weft::runtime worker;
  const auto echo = [] {
    pair own = connected();
    echo_once(own.ours, own.peer);
  };
  worker.run(echo);
  expect_in_child([&] { worker.run(echo); });
  worker.run(echo);
}

// Whatever the other workers and threads do at that moment.
TEST_F(ForkNet, among_busy_workers_leaves_a_child_that_works) {
  constexpr int rounds = 100;
  run(
      [] {
        bool stop = false;
        std::vector<weft::fiber<>> busy;
        for (unsigned worker = 0; worker < 3; ++worker) {
          busy.push_back(weft::spawn_on(worker, [&stop] {
            while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
              pair own = connected();
              echo_once(own.ours, own.peer);
              weft::spawn_anywhere([] { yield(); }).join();
            }
          }));
        }
        for (int i = 0; i < rounds; ++i) {
          expect_in_child([] {
            pair own = connected();
            echo_once(own.ours, own.peer);
            weft::spawn_anywhere([] { weft::this_fiber::sleep_for(1ms); }).join();
          });
          yield();
        }
        __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
        for (auto& each : busy) each.join();
      },
      {.workers = 3});
}

}  // namespace
