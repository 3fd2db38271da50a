// Descriptors used by fibers of several workers: waits that another worker's poller ends, closing
// while others use the descriptor, and numbers that come again.
#include <atomic>
#include <fcntl.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "net_fixture.hpp"

namespace weft::test {
namespace {

using namespace std::chrono_literals;
using net::endpoint;
using net::listener;
using net::socket;

constexpr unsigned three = 3;

class NetWorkers : public runtime_test {
protected:
  // Gives `use` a listener on a UNIX socket, again and again, on three workers, and expects it
  // closed afterwards, and its file gone.
  template <class Use>
  void expect_closed_after(Use&& use) {
    const scratch_folder folder;
    const std::string file = folder.path("socket");
    run(
        [&] {
          for (int round = 0; round < 50; ++round) {
            listener listening{endpoint::unix_domain(file)};
            use(listening);

            EXPECT_FALSE(listening.is_open());
            EXPECT_NE(::access(file.c_str(), F_OK), 0);
          }
        },
        {.workers = three});
  }
};

// Spawns `body` on each of three workers.
template <class Body>
std::vector<fiber<>> spawn_on_each(Body body) {
  std::vector<fiber<>> fibers;
  for (unsigned i = 0; i < three; ++i) fibers.push_back(spawn_on(i, body));
  return fibers;
}

TEST_F(NetWorkers, a_socket_that_one_worker_has_waited_on_is_read_by_another) {
  run(
      [] {
        auto [ours, peer] = tcp_pair();
        auto first = spawn([&, &s = ours] { return read_some_text(s); });
        one_turn();  // registered with worker 0
        send_all(peer, "one");
        first.join();
        EXPECT_EQ(first.result(), "one");

        for (unsigned i = 0; i < three; ++i) {
          std::atomic<bool> reads = false;
          auto reader = spawn_on(i, [&, &s = ours] {
            reads = true;
            return read_some_text(s);
          });
          while (!reads) one_turn();
          send_all(peer, "more");
          reader.join();
          EXPECT_EQ(reader.result(), "more");
        }
      },
      {.workers = three});
}

TEST_F(NetWorkers, a_stream_is_written_by_one_worker_and_read_by_another) {
  run(
      [] {
        for (int round = 0; round < 2; ++round) {
          auto [left, right] = round == 0 ? weft_tcp_pair() : weft_unix_pair();
          const std::string data = pattern(std::size_t{4} << 20);
          auto writer = spawn_on(1, [&, &s = left] {
            s.write(bytes_of(data));
            s.shutdown(net::socket::side::write);
          });
          auto reader = spawn_on(2, [&s = right] {
            std::error_code ec;
            return read_to_end(s, ec);
          });
          writer.join();
          reader.join();
          EXPECT_EQ(reader.result(), data);
        }
      },
      {.workers = three});
}

TEST_F(NetWorkers, readers_of_several_workers_share_a_stream_without_losing_a_byte) {
  run(
      [] {
        auto [left, right] = weft_unix_pair();
        constexpr std::size_t total = 300'000;
        std::atomic<std::size_t> received = 0;
        std::vector<fiber<>> readers;
        for (unsigned i = 0; i < three; ++i) {
          for (int twice = 0; twice < 2; ++twice) {
            readers.push_back(spawn_on(i, [&, &s = right] {
              std::error_code ec;
              while (!ec) received += read_some_text(s, 100, ec).size();
            }));
          }
        }
        left.write(bytes_of(pattern(total)));
        left.close();
        for (auto& each : readers) each.join();
        EXPECT_EQ(received, total);
      },
      {.workers = three});
}

TEST_F(NetWorkers, writes_of_several_workers_are_not_interleaved) {
  run(
      [] {
        auto [left, right] = weft_unix_pair();
        constexpr std::size_t size = 100'000;
        std::vector<fiber<>> writers;
        for (unsigned i = 0; i < three; ++i) {
          writers.push_back(spawn_on(i, [&s = left, i] {
            s.write(bytes_of(std::string(size, static_cast<char>('a' + i))));
          }));
        }
        const std::string all = read_text(right, three * size);
        for (auto& each : writers) each.join();
        for (std::size_t i = 0; i < three; ++i) {
          EXPECT_EQ(all.substr(i * size, size), std::string(size, all[i * size])) << i;
        }
      },
      {.workers = three});
}

TEST_F(NetWorkers, a_close_ends_the_waits_of_all_workers) {
  run(
      [] {
        auto [ours, peer] = tcp_pair();
        std::atomic<int> waiting = 0;
        std::vector<fiber<std::error_code>> readers;
        for (unsigned i = 0; i < three; ++i) {
          readers.push_back(spawn_on(i, [&, &s = ours] {
            std::error_code ec;
            ++waiting;
            read_some_text(s, 10, ec);
            return ec;
          }));
        }
        while (waiting != three) one_turn();
        this_fiber::sleep_for(1ms);

        ours.close();
        for (auto& each : readers) {
          each.join();
          EXPECT_EQ(each.result(), errc::closed);
        }
      },
      {.workers = three});
}

// Fibers of two workers use a socket while one of a third closes it; its number comes again at once
// as another socket, to whose bytes nobody else may come.
TEST_F(NetWorkers, a_close_among_system_calls_of_others_never_gives_them_another_descriptor) {
  run(
      [] {
        for (int round = 0; round < 500; ++round) {
          auto [used, peer] = unix_pair();
          std::atomic<int> started = 0;
          std::atomic<bool> stolen = false;
          const auto use = [&, &s = used] {
            ++started;
            std::error_code ec;
            while (!ec) {
              if (read_some_text(s, 10, ec).find('!') != std::string::npos) stolen = true;
            }
          };
          auto one = spawn_on(1, use);
          auto two = spawn_on(2, use);
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

TEST_F(NetWorkers, a_wait_on_another_workers_poller_is_cancelled) {
  run(
      [] {
        auto [ours, peer] = tcp_pair();
        auto registers = spawn([&, &s = ours] {
          std::error_code ec;
          read_some_text(s, 10, ec);
        });
        one_turn();
        registers.request_cancel();
        registers.join();

        std::atomic<bool> reads = false;
        auto reader = spawn_on(1, [&, &s = ours] {
          std::error_code ec;
          reads = true;
          read_some_text(s, 10, ec);
          return ec;
        });
        while (!reads) one_turn();
        reader.request_cancel();
        reader.join();
        EXPECT_EQ(reader.result(), errc::cancelled);

        send_all(peer, "still there");
        EXPECT_EQ(read_some_text(ours), "still there");
      },
      {.workers = 2});
}

TEST_F(NetWorkers, a_listener_is_served_by_all_workers) {
  run(
      [] {
        listener listening{endpoint::loopback_v4(0)};
        constexpr int connections = 300;
        std::atomic<int> served = 0;
        std::vector<fiber<>> servers;
        for (unsigned i = 0; i < three; ++i) {
          servers.push_back(spawn_on(i, [&] {
            std::error_code ec;
            while (true) {
              socket accepted = listening.accept(ec);
              if (ec) return;
              accepted.write(bytes_of("x"));
              ++served;
            }
          }));
        }
        const endpoint there = listening.local_endpoint();
        auto clients = spawn_on(1, [&] {
          for (int i = 0; i < connections; ++i) {
            socket client = socket::connect(there);
            read_text(client, 1);
          }
        });
        clients.join();
        clients.result();
        listening.close();
        for (auto& each : servers) each.join();
        EXPECT_EQ(served, connections);
      },
      {.workers = three});
}

// Each server closes the listener when it ends, and the first of them removes its file.
TEST_F(NetWorkers, servers_of_all_workers_that_share_a_listener_may_be_cancelled_at_once) {
  expect_closed_after([](listener& listening) {
    std::atomic<unsigned> served = 0;
    auto servers = spawn_on_each([&] {
      net::serve(listening, [&](socket& accepted) {
        accepted.write("x");
        ++served;
      });
    });
    for (unsigned i = 0; i < three; ++i) {
      socket client = socket::connect(listening.local_endpoint());
      EXPECT_EQ(read_text(client, 1), "x");
    }
    for (auto& each : servers) each.request_cancel();
    for (auto& each : servers) each.join();

    EXPECT_EQ(served, three);
  });
}

TEST_F(NetWorkers, a_listener_is_closed_by_all_workers_at_the_same_moment) {
  expect_closed_after([](listener& listening) {
    std::atomic<unsigned> here = 0;
    auto closers = spawn_on_each([&] {
      ++here;
      while (here != three) one_turn();
      listening.close();
    });
    for (auto& each : closers) each.join();
  });
}

TEST_F(NetWorkers, a_descriptor_released_elsewhere_than_where_it_is_registered_is_free) {
  run(
      [] {
        auto [ours, peer] = tcp_pair();
        auto reader = spawn_reader(ours);
        one_turn();
        auto releaser = spawn_on(1, [&s = ours] { return s.release(); });
        releaser.join();
        reader.join();
        EXPECT_EQ(reader.result(), errc::closed);

        const unique_fd fd{releaser.result()};
        ASSERT_GE(fd.get(), 0);
        EXPECT_EQ(::fcntl(fd.get(), F_GETFL) & O_NONBLOCK, 0);
      },
      {.workers = 2});
}

TEST_F(NetWorkers, a_borrowed_buffer_is_given_back_by_another_worker) {
  run(
      [] {
        auto [ours, peer] = tcp_pair();
        for (int i = 0; i < 100; ++i) {
          send_all(peer, "lent");
          auto lent = ours.read_some_borrowed();
          auto other = spawn_on(1, [lent = std::move(lent)] { return std::string(lent.text()); });
          other.join();
          EXPECT_EQ(other.result(), "lent");
        }
      },
      {.workers = 2});
}

}  // namespace
}  // namespace weft::test
