// Several fibers on one socket: they are served in the order in which they came, and none is
// interleaved with another.
#include <algorithm>
#include <array>
#include <set>
#include <sys/socket.h>

#include "net_fixture.hpp"

namespace weft::test {
namespace {

using net::endpoint;
using net::socket;

class Sharing : public runtime_test {};

TEST_F(Sharing, readers_are_served_in_the_order_in_which_they_came) {
  for (auto make : {tcp_pair, unix_pair}) {
    run([&] {
      auto [ours, peer] = make();
      std::string order;
      std::vector<fiber<>> readers;
      for (char name = 'a'; name <= 'h'; ++name) {
        readers.push_back(spawn([&order, &s = ours, name] { order += name + read_text(s, 1); }));
      }
      one_turn();
      send_all(peer, "12345678");
      for (auto& each : readers) each.join();

      EXPECT_EQ(order, "a1b2c3d4e5f6g7h8");
    });
  }
}

TEST_F(Sharing, a_reader_that_comes_back_stands_behind_those_that_wait) {
  run([] {
    auto [ours, peer] = unix_pair();
    std::string order;
    std::vector<fiber<>> readers;
    for (char name = 'a'; name <= 'c'; ++name) {
      readers.push_back(spawn([&order, &s = ours, name] {
        for (int i = 0; i < 3; ++i) {
          read_text(s, 1);
          order += name;
        }
      }));
    }
    one_turn();
    send_all(peer, "123456789");
    for (auto& each : readers) each.join();

    EXPECT_EQ(order, "abcabcabc");
  });
}

TEST_F(Sharing, whole_reads_are_not_interleaved) {
  run([] {
    auto [ours, peer] = tcp_pair();
    auto first = spawn([&s = ours] { return read_text(s, 6); });
    auto second = spawn([&s = ours] { return read_text(s, 6); });
    one_turn();
    for (const char* piece : {"fir", "st-se", "cond"}) {
      send_all(peer, piece);
      for (int i = 0; i < 100; ++i) one_turn();
    }
    first.join();
    second.join();

    EXPECT_EQ(first.result(), "first-");
    EXPECT_EQ(second.result(), "second");
  });
}

TEST_F(Sharing, whole_writes_are_not_interleaved_and_keep_their_order) {
  constexpr std::size_t size = std::size_t{1} << 20;
  for (auto make : {tcp_pair, unix_pair}) {
    run([&] {
      auto [ours, peer] = make();
      std::vector<fiber<>> writers;
      for (char name = 'a'; name <= 'd'; ++name) {
        writers.push_back(spawn([&s = ours, name] { s.write(std::string(size, name)); }));
      }
      std::string arrived;
      while (arrived.size() < 4 * size) {
        arrived += arrived_at(peer);
        one_turn();
      }
      for (auto& each : writers) each.join();

      std::string expected;
      for (char name = 'a'; name <= 'd'; ++name) expected.append(size, name);
      EXPECT_TRUE(arrived == expected);
    });
  }
}

TEST_F(Sharing, a_reader_and_a_writer_do_not_wait_for_each_other) {
  run([] {
    auto [ours, peer] = tcp_pair();
    auto reader = spawn([&s = ours] { return read_some_text(s); });
    one_turn();

    EXPECT_EQ(ours.write("there"), 5u);
    EXPECT_FALSE(reader.done());
    EXPECT_EQ(recv_all(peer, 5), "there");
    send_all(peer, "back");
    reader.join();
    EXPECT_EQ(reader.result(), "back");
  });
}

TEST_F(Sharing, many_readers_and_writers_on_one_connection_all_come_to_an_end) {
  run([] {
    auto [left, right] = weft_tcp_pair();
    constexpr int fibers = 20;
    constexpr int rounds = 50;
    constexpr std::size_t size = 3'000;
    std::size_t received = 0;
    std::vector<fiber<>> all;
    for (int i = 0; i < fibers; ++i) {
      all.push_back(spawn([&s = left, i] {
        for (int n = 0; n < rounds; ++n) s.write(std::string(size, static_cast<char>('a' + i)));
      }));
      all.push_back(spawn([&, &s = right] {
        for (int n = 0; n < rounds; ++n) {
          const std::string got = read_text(s, size);
          received += got.size();
          EXPECT_EQ(std::ranges::count(got, got[0]), static_cast<std::ptrdiff_t>(size));
        }
      }));
    }
    for (auto& each : all) each.join();

    EXPECT_EQ(received, fibers * rounds * size);
  });
}

TEST_F(Sharing, the_end_of_the_stream_is_told_to_every_reader) {
  run([] {
    auto [ours, peer] = tcp_pair();
    std::vector<fiber<std::error_code>> readers;
    for (int i = 0; i < 5; ++i) {
      readers.push_back(spawn_reader(ours));
    }
    one_turn();
    peer.reset();
    for (auto& each : readers) {
      each.join();
      EXPECT_EQ(each.result(), errc::eof);
    }
  });
}

TEST_F(Sharing, acceptors_are_served_in_the_order_in_which_they_came) {
  run([] {
    net::listener listening{endpoint::loopback_v4(0)};
    std::string order;
    std::vector<fiber<>> acceptors;
    for (char name = 'a'; name <= 'd'; ++name) {
      acceptors.push_back(spawn([&order, &listening, name] {
        const socket accepted = listening.accept();
        order += name;
      }));
    }
    one_turn();
    std::vector<unique_fd> clients;
    for (int i = 0; i < 4; ++i) {
      clients.push_back(connect_tcp(listening.local_endpoint().port()));
    }
    for (auto& each : acceptors) each.join();

    EXPECT_EQ(order, "abcd");
  });
}

TEST_F(Sharing, each_datagram_goes_to_exactly_one_reader) {
  run([] {
    net::datagram_socket receiver{endpoint::loopback_v4(0)};
    net::datagram_socket sender{endpoint::loopback_v4(0)};
    constexpr int readers = 5;
    constexpr int rounds = 20;
    std::multiset<std::string> got;
    std::vector<fiber<>> all;
    for (int i = 0; i < readers; ++i) {
      all.push_back(spawn([&] {
        std::array<std::byte, 100> buffer;
        for (int n = 0; n < rounds; ++n) {
          got.insert(text_of(std::span{buffer}.first(receiver.receive(buffer))));
        }
      }));
    }
    std::multiset<std::string> sent;
    for (int n = 0; n < readers * rounds; ++n) {
      const std::string text = "datagram " + std::to_string(n);
      sender.send_to(bytes_of(text), receiver.local_endpoint());
      sent.insert(text);
    }
    for (auto& each : all) each.join();

    EXPECT_EQ(got, sent);
  });
}

}  // namespace
}  // namespace weft::test
