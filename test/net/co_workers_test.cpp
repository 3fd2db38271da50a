// Descriptors used by coroutines of several workers: waits that another worker's poller ends,
// closing while others use the descriptor, and a stress test of all of it at random.
#include <array>
#include <atomic>
#include <memory>
#include <random>
#include <vector>

#include "coroutines.hpp"
#include "support/seed.hpp"

namespace weft::test {
namespace {

using net::endpoint;
using net::listener;
using net::socket;

constexpr unsigned three = 3;

class CoNetWorkers : public runtime_test {};

void join_all(std::vector<fiber<>>& all) {
  for (auto& each : all) {
    each.join();
    each.result();
  }
}

TEST_F(CoNetWorkers, a_socket_that_one_worker_has_waited_on_is_read_by_another) {
  run(
      [] {
        auto [ours, peer] = tcp_pair();
        auto first = co::spawn(co_read_some_text(ours));
        one_turn();  // registered with worker 0
        send_all(peer, "one");
        first.join();
        EXPECT_EQ(first.result(), "one");

        for (unsigned i = 0; i < three; ++i) {
          std::atomic<bool> reads = false;
          auto reader = co::spawn_on(i, [&, &s = ours] {
            reads = true;
            return co_read_some_text(s);
          });
          while (!reads) one_turn();
          send_all(peer, "more");
          reader.join();
          EXPECT_EQ(reader.result(), "more");
        }
      },
      {.workers = three});
}

TEST_F(CoNetWorkers, a_stream_is_written_by_one_worker_and_read_by_another) {
  run(
      [] {
        for (auto make : {weft_tcp_pair, weft_unix_pair}) {
          auto [left, right] = make();
          const std::string data = pattern(std::size_t{4} << 20);
          auto writer = co::spawn_on(1, [&, &s = left]() -> co::task<> {
            co_await s.co_write(data);
            s.shutdown(socket::side::write);
          });
          std::error_code ec;
          auto reader = co::spawn_on(2, [&, &s = right] { return co_read_to_end(s, ec); });
          writer.join();
          reader.join();

          EXPECT_TRUE(reader.result() == data);
        }
      },
      {.workers = three});
}

TEST_F(CoNetWorkers, readers_of_several_workers_share_a_stream_without_losing_a_byte) {
  run(
      [] {
        auto [left, right] = weft_unix_pair();
        constexpr std::size_t total = 300'000;
        std::atomic<std::size_t> received = 0;
        std::vector<fiber<>> readers;
        for (unsigned i = 0; i < three; ++i) {
          readers.push_back(spawn_on(i, [&, &s = right] {
            std::error_code ec;
            while (!ec) received += read_some_text(s, 100, ec).size();
          }));
          readers.push_back(co::spawn_on(i, [&, &s = right]() -> co::task<> {
            std::error_code ec;
            while (!ec) {
              const std::string got = co_await co_read_some_text(s, 100, ec);
              received += got.size();
            }
          }));
        }
        left.write(pattern(total));
        left.close();
        join_all(readers);

        EXPECT_EQ(received, total);
      },
      {.workers = three});
}

TEST_F(CoNetWorkers, a_close_ends_the_waits_of_all_workers) {
  run(
      [] {
        for (int round = 0; round < 100; ++round) {
          auto [ours, peer] = tcp_pair();
          std::atomic<unsigned> waiting = 0;
          std::vector<fiber<std::error_code>> readers;
          for (unsigned i = 0; i < 2 * three; ++i) {
            readers.push_back(
                co::spawn_on(i % three, [&, &s = ours]() -> co::task<std::error_code> {
                  std::error_code ec;
                  ++waiting;
                  co_await co_read_some_text(s, 10, ec);
                  co_return ec;
                }));
          }
          while (waiting != 2 * three) one_turn();
          auto closer = co::spawn_on(1, [&s = ours]() -> co::task<> {
            s.close();
            co_return;
          });
          for (auto& each : readers) {
            each.join();
            EXPECT_EQ(each.result(), errc::closed);
          }
          closer.join();
        }
      },
      {.workers = three});
}

// Tasks of two workers use a socket while one of a third closes it; its number comes again at once
// as another socket, to whose bytes nobody else may come.
TEST_F(CoNetWorkers, a_close_among_system_calls_of_others_never_gives_them_another_descriptor) {
  run(
      [] {
        for (int round = 0; round < 500; ++round) {
          auto [used, peer] = unix_pair();
          std::atomic<int> started = 0;
          std::atomic<bool> stolen = false;
          const auto use = [&, &s = used]() -> co::task<> {
            ++started;
            std::error_code ec;
            while (!ec) {
              const std::string got = co_await co_read_some_text(s, 10, ec);
              if (got.find('!') != std::string::npos) stolen = true;
            }
          };
          auto one = co::spawn_on(1, use);
          auto two = co::spawn_on(2, use);
          send_all(peer, std::string(500, 'a'));
          while (started != 2) one_turn();
          used.close();

          auto [other, other_peer] = unix_pair();
          send_all(other_peer, "!!!!!!!!!!");
          EXPECT_EQ(read_text(other, 10), "!!!!!!!!!!");
          one.join();
          two.join();
          EXPECT_FALSE(stolen);
        }
      },
      {.workers = three});
}

TEST_F(CoNetWorkers, a_wait_on_another_workers_poller_is_cancelled) {
  run(
      [] {
        auto [ours, peer] = tcp_pair();
        auto registers = co_spawn_reader(ours);
        one_turn();
        registers.request_cancel();
        registers.join();
        std::atomic<bool> reads = false;
        auto reader = co::spawn_on(1, [&, &s = ours]() -> co::task<std::error_code> {
          std::error_code ec;
          reads = true;
          co_await co_read_some_text(s, 10, ec);
          co_return ec;
        });
        while (!reads) one_turn();
        reader.request_cancel();
        reader.join();

        EXPECT_EQ(reader.result(), errc::cancelled);
        send_all(peer, "still there");
        EXPECT_EQ(co::block_on(co_read_some_text(ours)), "still there");
      },
      {.workers = 2});
}

TEST_F(CoNetWorkers, a_listener_is_served_by_all_workers_and_closed_by_the_first_that_ends) {
  run(
      [] {
        for (int round = 0; round < 20; ++round) {
          listener listening{endpoint::loopback_v4(0)};
          const endpoint there = listening.local_endpoint();
          std::vector<fiber<>> servers;
          for (unsigned i = 0; i < three; ++i) {
            servers.push_back(co::spawn_on(i, [&] {
              return net::co_serve(listening, [](socket& accepted) -> co::task<> {
                co_await accepted.co_write("x");
              });
            }));
          }
          auto clients = co::spawn_on(1, [&]() -> co::task<> {
            for (int i = 0; i < 30; ++i) {
              socket client = co_await socket::co_connect(there);
              const std::string got = co_await co_read_text(client, 1);
              EXPECT_EQ(got, "x");
            }
          });
          clients.join();
          clients.result();
          for (auto& each : servers) each.request_cancel();
          for (auto& each : servers) each.join();  // one may have had no time to start

          EXPECT_FALSE(listening.is_open());
        }
      },
      {.workers = three});
}

TEST_F(CoNetWorkers, a_lease_is_given_back_by_another_worker_after_the_task_has_ended) {
  run(
      [] {
        auto [ours, peer] = tcp_pair();
        for (int i = 0; i < 100; ++i) {
          send_all(peer, "lent");
          auto reader = co::spawn_on(1, [&s = ours]() -> co::task<net::borrowed_bytes> {
            co_return co_await s.co_read_some_borrowed();
          });
          reader.join();
          EXPECT_EQ(reader.result().text(), "lent");
        }
      },
      {.workers = 2});
}

// ---- all of it at random ---------------------------------------------------------------------

// A connection that tasks of all workers use, and that may be closed at any moment.
struct used_connection {
  explicit used_connection(socket_pair made) : ends{std::move(made.left), std::move(made.right)} {}

  std::array<socket, 2> ends;
};

bool is_expected(const std::error_code& ec) {
  return !ec || ec == errc::eof || ec == errc::closed || ec == errc::cancelled ||
         ec == std::errc::connection_reset || ec == std::errc::broken_pipe;
}

// Reads or writes until that fails, each time in another way.
co::task<> co_use(std::shared_ptr<used_connection> connection, std::uint32_t seed) {
  std::minstd_rand random{seed};
  std::array<std::byte, 3000> buffer{};
  std::error_code ec;
  socket& end = connection->ends[random() % 2];
  const bool reads = random() % 2 == 0;
  for (int i = 0; i < 200 && !ec; ++i) {
    const auto some = std::span{buffer}.first(random() % buffer.size());
    if (!reads) {
      co_await end.co_write(some, ec);
    } else if (random() % 3 == 0) {
      const auto lent = co_await end.co_read_some_borrowed(some.size(), ec);
      if (random() % 4 == 0) co_await co::yield();
    } else if (random() % 2 == 0) {
      co_await end.co_read_some(some, ec);
    } else {
      co_await end.co_read(some, ec);
    }
  }
  EXPECT_TRUE(is_expected(ec)) << ec.message();
}

// The same in a fiber.
void use(const std::shared_ptr<used_connection>& connection, std::uint32_t seed) {
  std::minstd_rand random{seed};
  std::array<std::byte, 3000> buffer{};
  std::error_code ec;
  socket& end = connection->ends[random() % 2];
  const bool reads = random() % 2 == 0;
  for (int i = 0; i < 200 && !ec; ++i) {
    const auto some = std::span{buffer}.first(random() % buffer.size());
    reads ? end.read_some(some, ec) : end.write(some, ec);
  }
  EXPECT_TRUE(is_expected(ec)) << ec.message();
}

TEST_F(CoNetWorkers, connections_closed_and_tasks_cancelled_at_random_leave_nothing_behind) {
  std::mt19937_64 random{fresh_seed()};
  constexpr int rounds = under_asan || under_tsan ? 30 : 100;
  run(
      [&] {
        for (int round = 0; round < rounds; ++round) {
          std::vector<std::shared_ptr<used_connection>> connections;
          std::vector<fiber<>> tasks;
          for (int i = 0; i < 8; ++i) {
            connections.push_back(std::make_shared<used_connection>(
                random() % 2 == 0 ? weft_tcp_pair() : weft_unix_pair()));
          }
          for (int i = 0; i < 60; ++i) {
            const auto& connection = connections[random() % connections.size()];
            const auto seed = static_cast<std::uint32_t>(random());
            if (random() % 4 == 0) {
              tasks.push_back(
                  spawn_on(random() % three, [connection, seed] { use(connection, seed); }));
            } else {
              tasks.push_back(co::spawn_on(
                  random() % three, [connection, seed] { return co_use(connection, seed); }));
            }
          }
          // In any order, here and there, while the tasks go on.
          for (int i = 0; i < 80; ++i) {
            const auto where = random() % three;
            const auto& connection = connections[random() % connections.size()];
            if (random() % 3 == 0) {
              tasks.push_back(spawn_on(where, [connection] { connection->ends[0].close(); }));
            } else {
              tasks[random() % tasks.size()].request_cancel();
            }
            if (random() % 2 == 0) one_turn();
          }
          for (auto& each : connections) {
            for (auto& end : each->ends) end.close();
          }
          for (auto& each : tasks) each.join();
        }
      },
      {.workers = three});
}

}  // namespace
}  // namespace weft::test
