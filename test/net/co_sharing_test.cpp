// Fibers and coroutines on one socket: they are served in the order in which they came, and none is
// interleaved with another.
#include <algorithm>
#include <array>
#include <set>
#include <sys/socket.h>

#include "coroutines.hpp"

namespace weft::test {
namespace {

using net::endpoint;
using net::socket;

class CoSharing : public runtime_test {};

// Spawns fibers and coroutines by turns: `in_fiber` and `in_coroutine` are called with the name of
// each, from 'a' on.
template <class InFiber, class InCoroutine>
std::vector<fiber<>> spawn_by_turns(int count, InFiber in_fiber, InCoroutine in_coroutine) {
  std::vector<fiber<>> all;
  for (int i = 0; i < count; ++i) {
    const char name = static_cast<char>('a' + i);
    if (i % 2 == 0) {
      all.push_back(spawn([=] { in_fiber(name); }));
    } else {
      all.push_back(co::spawn([=] { return in_coroutine(name); }));
    }
  }
  return all;
}

void join_all(std::vector<fiber<>>& all) {
  for (auto& each : all) {
    each.join();
    each.result();
  }
}

TEST_F(CoSharing, readers_are_served_in_the_order_in_which_they_came) {
  for (auto make : {tcp_pair, unix_pair}) {
    run([&] {
      auto [ours, peer] = make();
      socket& s = ours;
      std::string order;
      auto readers = spawn_by_turns(
          8, [&order, &s](char name) { order += name + read_text(s, 1); },
          [&order, &s](char name) -> co::task<> { order += name + co_await co_read_text(s, 1); });
      one_turn();
      send_all(peer, "12345678");
      join_all(readers);

      EXPECT_EQ(order, "a1b2c3d4e5f6g7h8");
    });
  }
}

TEST_F(CoSharing, a_reader_that_comes_back_stands_behind_those_that_wait) {
  run([] {
    auto [ours, peer] = unix_pair();
    socket& s = ours;
    std::string order;
    auto readers = spawn_by_turns(
        4,
        [&order, &s](char name) {
          for (int i = 0; i < 3; ++i) {
            read_text(s, 1);
            order += name;
          }
        },
        [&order, &s](char name) -> co::task<> {
          for (int i = 0; i < 3; ++i) {
            co_await co_read_text(s, 1);
            order += name;
          }
        });
    one_turn();
    send_all(peer, "123456789012");
    join_all(readers);

    EXPECT_EQ(order, "abcdabcdabcd");
  });
}

TEST_F(CoSharing, whole_reads_are_not_interleaved) {
  run([] {
    auto [ours, peer] = tcp_pair();
    auto first = co::spawn(co_read_text(ours, 6));
    auto second = spawn([&s = ours] { return read_text(s, 6); });
    auto third = co::spawn(co_read_text(ours, 5));
    one_turn();
    for (const char* piece : {"fir", "st-se", "condth", "ird"}) {
      send_all(peer, piece);
      for (int i = 0; i < 100; ++i) one_turn();
    }
    first.join();
    second.join();
    third.join();

    EXPECT_EQ(first.result(), "first-");
    EXPECT_EQ(second.result(), "second");
    EXPECT_EQ(third.result(), "third");
  });
}

TEST_F(CoSharing, whole_writes_are_not_interleaved_and_keep_their_order) {
  constexpr std::size_t size = std::size_t{1} << 20;
  for (auto make : {tcp_pair, unix_pair}) {
    run([&] {
      auto [ours, peer] = make();
      socket& s = ours;
      auto writers = spawn_by_turns(
          4, [&s](char name) { s.write(std::string(size, name)); },
          [&s](char name) -> co::task<> { co_await s.co_write(std::string(size, name)); });
      std::string arrived;
      while (arrived.size() < 4 * size) {
        arrived += arrived_at(peer);
        one_turn();
      }
      join_all(writers);

      std::string expected;
      for (char name = 'a'; name <= 'd'; ++name) expected.append(size, name);
      EXPECT_TRUE(arrived == expected);
    });
  }
}

TEST_F(CoSharing, a_reader_and_a_writer_do_not_wait_for_each_other) {
  run([] {
    auto [ours, peer] = tcp_pair();
    auto reader = co::spawn(co_read_some_text(ours));
    one_turn();
    auto writer = co_spawn_writer(ours, "there");
    writer.join();

    EXPECT_FALSE(reader.done());
    EXPECT_EQ(recv_all(peer, 5), "there");
    send_all(peer, "back");
    reader.join();
    EXPECT_EQ(reader.result(), "back");
  });
}

TEST_F(CoSharing, many_readers_and_writers_on_one_connection_all_come_to_an_end) {
  run([] {
    auto [left, right] = weft_tcp_pair();
    socket& from = right;
    socket& to = left;
    constexpr int tasks = 20;
    constexpr int rounds = 50;
    constexpr std::size_t size = 3'000;
    std::size_t received = 0;
    const auto take = [&](const std::string& got) {
      received += got.size();
      EXPECT_EQ(std::ranges::count(got, got[0]), static_cast<std::ptrdiff_t>(size));
    };
    auto writers = spawn_by_turns(
        tasks,
        [&](char name) {
          for (int n = 0; n < rounds; ++n) to.write(std::string(size, name));
        },
        [&](char name) -> co::task<> {
          for (int n = 0; n < rounds; ++n) co_await to.co_write(std::string(size, name));
        });
    auto readers = spawn_by_turns(
        tasks,
        [&](char) {
          for (int n = 0; n < rounds; ++n) take(read_text(from, size));
        },
        [&](char) -> co::task<> {
          for (int n = 0; n < rounds; ++n) take(co_await co_read_text(from, size));
        });
    join_all(writers);
    join_all(readers);

    EXPECT_EQ(received, tasks * rounds * size);
  });
}

TEST_F(CoSharing, the_end_of_the_stream_is_told_to_every_reader) {
  run([] {
    auto [ours, peer] = tcp_pair();
    std::vector<fiber<std::error_code>> readers;
    for (int i = 0; i < 3; ++i) {
      readers.push_back(spawn_reader(ours));
      readers.push_back(co_spawn_reader(ours));
    }
    one_turn();
    peer.reset();
    for (auto& each : readers) {
      each.join();
      EXPECT_EQ(each.result(), errc::eof);
    }
  });
}

TEST_F(CoSharing, acceptors_are_served_in_the_order_in_which_they_came) {
  run([] {
    net::listener listening{endpoint::loopback_v4(0)};
    std::string order;
    auto acceptors = spawn_by_turns(
        6,
        [&](char name) {
          const socket accepted = listening.accept();
          order += name;
        },
        [&](char name) -> co::task<> {
          const socket accepted = co_await listening.co_accept();
          order += name;
        });
    one_turn();
    std::vector<unique_fd> clients;
    for (int i = 0; i < 6; ++i) {
      clients.push_back(connect_tcp(listening.local_endpoint().port()));
    }
    join_all(acceptors);

    EXPECT_EQ(order, "abcdef");
  });
}

TEST_F(CoSharing, each_datagram_goes_to_exactly_one_reader) {
  run([] {
    net::datagram_socket receiver{endpoint::loopback_v4(0)};
    net::datagram_socket sender{endpoint::loopback_v4(0)};
    constexpr int readers = 6;
    constexpr int rounds = 20;
    std::multiset<std::string> got;
    auto all = spawn_by_turns(
        readers,
        [&](char) {
          std::array<std::byte, 100> buffer;
          for (int n = 0; n < rounds; ++n) {
            got.insert(text_of(std::span{buffer}.first(receiver.receive(buffer))));
          }
        },
        [&](char) -> co::task<> {
          std::array<std::byte, 100> buffer;
          for (int n = 0; n < rounds; ++n) {
            const std::size_t size = co_await receiver.co_receive(buffer);
            got.insert(text_of(std::span{buffer}.first(size)));
          }
        });
    std::multiset<std::string> sent;
    for (int n = 0; n < readers * rounds; ++n) {
      const std::string text = "datagram " + std::to_string(n);
      sender.send_to(bytes_of(text), receiver.local_endpoint());
      sent.insert(text);
    }
    join_all(all);

    EXPECT_EQ(got, sent);
  });
}

// ---- buffers that are lent -------------------------------------------------------------------

class CoBorrowedRead : public runtime_test {};

using net::borrowed_bytes;

// Where the buffer is that the worker lends next.
const std::byte* next_buffer(socket& ours, const unique_fd& peer) {
  send_all(peer, "?");
  return ours.read_some_borrowed().bytes().data();
}

TEST_F(CoBorrowedRead, takes_at_most_what_was_asked_for_and_never_more_than_its_capacity) {
  run([] {
    auto [ours, peer] = unix_pair();
    const std::string data = pattern(3 * borrowed_bytes::capacity + 7);
    send_all(peer, "ab" + data);
    const std::string got = in_coroutine([&, &s = ours]() -> co::task<std::string> {
      const auto two = co_await s.co_read_some_borrowed(2);
      EXPECT_EQ(two.text(), "ab");
      std::string all;
      while (all.size() < data.size()) {
        const auto piece = co_await s.co_read_some_borrowed(std::size_t{1} << 40);
        EXPECT_LE(piece.size(), borrowed_bytes::capacity);
        all += piece.text();
      }
      co_return all;
    });

    EXPECT_TRUE(got == data);
  });
}

TEST_F(CoBorrowedRead, the_end_is_empty_for_the_form_that_throws_and_an_error_for_the_other) {
  run([] {
    auto [ours, peer] = tcp_pair();
    auto [bad, bad_peer] = tcp_pair();
    send_all(peer, "all there is");
    peer.reset();
    reset_by(bad_peer);
    const std::string got = in_coroutine([&s = ours]() -> co::task<std::string> {
      std::string all;
      while (const auto data = co_await s.co_read_some_borrowed()) all += data.text();
      std::error_code ec;
      const auto nothing = co_await s.co_read_some_borrowed(10, ec);
      EXPECT_TRUE(nothing.empty());
      EXPECT_EQ(ec, errc::eof);
      co_return all;
    });

    EXPECT_EQ(got, "all there is");
    EXPECT_EQ(code_thrown_when_awaiting([&s = bad] { return s.co_read_some_borrowed(); }),
              std::errc::connection_reset);
  });
}

TEST_F(CoBorrowedRead, no_buffer_is_bound_while_a_reader_waits) {
  run([] {
    auto [waiting, waiting_peer] = unix_pair();
    auto [other, other_peer] = tcp_pair();
    const std::byte* const before = next_buffer(other, other_peer);
    auto reader = co::spawn([&s = waiting]() -> co::task<std::string> {
      const auto lent = co_await s.co_read_some_borrowed();
      co_return std::string{lent.text()};
    });
    one_turn();
    ASSERT_FALSE(reader.done());

    EXPECT_EQ(next_buffer(other, other_peer), before);
    send_all(waiting_peer, "3");
    reader.join();
    EXPECT_EQ(reader.result(), "3");
  });
}

TEST_F(CoBorrowedRead, a_lease_keeps_its_bytes_across_waits_and_goes_back_afterwards) {
  run([] {
    auto [first, first_peer] = tcp_pair();
    auto [second, second_peer] = tcp_pair();
    const std::byte* const before = next_buffer(second, second_peer);
    send_all(first_peer, "kept");
    auto holder = co::spawn([&one = first, &two = second]() -> co::task<> {
      const auto kept = co_await one.co_read_some_borrowed();
      const auto other = co_await two.co_read_some_borrowed();
      co_await co::yield();
      EXPECT_EQ(kept.text(), "kept");
      EXPECT_EQ(other.text(), "another");
      EXPECT_NE(kept.bytes().data(), other.bytes().data());
    });
    one_turn();
    send_all(second_peer, "another");
    holder.join();
    holder.result();

    // Both are free again, the one that was lent first last.
    EXPECT_EQ(next_buffer(first, first_peer), before);
  });
}

TEST_F(CoBorrowedRead, a_buffer_is_given_back_when_the_awaited_read_fails_or_is_dropped) {
  run([] {
    auto [ours, peer] = unix_pair();
    auto [other, other_peer] = tcp_pair();
    const std::byte* const before = next_buffer(other, other_peer);
    std::error_code ec;
    const outcome result =
        cancel_while_suspended([&s = ours](auto& error) -> co::task<std::size_t> {
          const auto lent = co_await s.co_read_some_borrowed(10, error);
          co_return lent.size();
        });
    EXPECT_EQ(result.ec, errc::cancelled);
    send_all(peer, "x");
    in_coroutine([&, &s = ours]() -> co::task<> {
      co_await s.co_read_some_borrowed(10, ec);  // nobody takes the lease
    });
    EXPECT_FALSE(ec);

    EXPECT_EQ(next_buffer(other, other_peer), before);
  });
}

}  // namespace
}  // namespace weft::test
