// Closing a socket on which coroutines wait, and numbers of descriptors that come again.
#include <array>
#include <memory>
#include <sys/socket.h>
#include <unistd.h>

#include "coroutines.hpp"

namespace weft::test {
namespace {

using net::endpoint;
using net::socket;

// Enough to meet every order of events; a tenth of it where each round costs ten times as much.
constexpr int many_rounds = under_asan || under_tsan ? 5'000 : 50'000;

class CoClose : public runtime_test {};

TEST_F(CoClose, ends_the_wait_of_a_reader_within_one_turn) {
  for (auto make : {tcp_pair, unix_pair}) {
    run([&] {
      auto [ours, peer] = make();
      auto reader = co_spawn_reader(ours);
      one_turn();
      ours.close();
      one_turn();

      ASSERT_TRUE(reader.done());
      EXPECT_EQ(reader.result(), errc::closed);
    });
  }
}

TEST_F(CoClose, ends_the_wait_of_a_borrowing_reader_within_one_turn) {
  run([] {
    auto [ours, peer] = tcp_pair();
    auto reader = co::spawn([&s = ours]() -> co::task<std::error_code> {
      std::error_code ec;
      const auto lent = co_await s.co_read_some_borrowed(100, ec);
      EXPECT_TRUE(lent.empty());
      co_return ec;
    });
    one_turn();
    ours.close();
    one_turn();

    ASSERT_TRUE(reader.done());
    EXPECT_EQ(reader.result(), errc::closed);
  });
}

TEST_F(CoClose, ends_the_wait_of_a_writer_within_one_turn_and_says_what_went_out) {
  run([] {
    auto [ours, peer] = unix_pair();
    const std::string data = pattern(std::size_t{16} << 20);
    auto writer = co_spawn_writer(ours, data);
    one_turn();
    ours.close();
    one_turn();

    ASSERT_TRUE(writer.done());
    EXPECT_EQ(writer.result().ec, errc::closed);
    EXPECT_EQ(recv_until_end(peer).size(), writer.result().count);
  });
}

TEST_F(CoClose, ends_the_wait_of_an_acceptor_within_one_turn) {
  run([] {
    net::listener listening{endpoint::loopback_v4(0)};
    auto acceptor = co::spawn([&]() -> co::task<std::error_code> {
      std::error_code ec;
      co_await listening.co_accept(ec);
      co_return ec;
    });
    one_turn();
    listening.close();
    one_turn();

    ASSERT_TRUE(acceptor.done());
    EXPECT_EQ(acceptor.result(), errc::closed);
  });
}

TEST_F(CoClose, ends_the_wait_of_a_datagram_receiver_within_one_turn) {
  run([] {
    net::datagram_socket ours{endpoint::loopback_v4(0)};
    auto receiver = co::spawn([&]() -> co::task<std::error_code> {
      std::error_code ec;
      std::array<std::byte, 10> buffer;
      co_await ours.co_receive(buffer, ec);
      co_return ec;
    });
    one_turn();
    ours.close();
    one_turn();

    ASSERT_TRUE(receiver.done());
    EXPECT_EQ(receiver.result(), errc::closed);
  });
}

TEST_F(CoClose, ends_the_waits_of_all_in_the_queue_within_one_turn) {
  run([] {
    auto [ours, peer] = unix_pair();
    fill(ours.native_handle());
    std::vector<fiber<std::error_code>> readers;
    std::vector<fiber<outcome>> writers;
    for (int i = 0; i < 5; ++i) {
      readers.push_back(co_spawn_reader(ours));
      readers.push_back(spawn_reader(ours));
      writers.push_back(co_spawn_writer(ours, "x"));
    }
    one_turn();
    ours.close();
    one_turn();

    for (auto& each : readers) {
      ASSERT_TRUE(each.done());
      EXPECT_EQ(each.result(), errc::closed);
    }
    for (auto& each : writers) {
      ASSERT_TRUE(each.done());
      EXPECT_EQ(each.result().ec, errc::closed);
    }
  });
}

TEST_F(CoClose, by_the_destructor_ends_waits_too_and_the_waiter_never_looks_at_the_socket_again) {
  run([] {
    auto pair = tcp_pair();
    auto ours = std::make_unique<socket>(std::move(pair.ours));
    auto reader = co_spawn_reader(*ours);
    auto next = co_spawn_reader(*ours);
    auto transfer = co::spawn([&ours]() -> co::task<std::error_code> {
      std::error_code ec;
      co_await ours->co_write(pattern(std::size_t{64} << 20), ec);
      co_return ec;
    });
    one_turn();
    ours.reset();
    for (auto* each : {&reader, &next, &transfer}) {
      each->join();
      EXPECT_EQ(each->result(), errc::closed);
    }
  });
}

TEST_F(CoClose, after_a_shutdown_wakes_the_reader_every_time) {
  run([] {
    for (int i = 0; i < many_rounds; ++i) {
      auto [ours, peer] = unix_pair();
      auto reader = co_spawn_reader(ours);
      one_turn();
      ours.shutdown(socket::side::both);
      if (i % 2 == 0) one_turn();
      ours.close();
      reader.join();

      ASSERT_TRUE(reader.result() == errc::closed || reader.result() == errc::eof);
    }
  });
}

TEST_F(CoClose, by_the_reader_itself_between_two_reads_is_what_the_second_one_sees) {
  run([] {
    auto [ours, peer] = tcp_pair();
    send_all(peer, "ab");
    const auto seen = in_coroutine([&s = ours]() -> co::task<std::error_code> {
      co_await co_read_some_text(s, 1);
      s.close();
      std::error_code ec;
      co_await co_read_some_text(s, 1, ec);
      co_return ec;
    });

    EXPECT_EQ(seen, errc::closed);
  });
}

// ---- numbers that come again -----------------------------------------------------------------

// Another socket under the number that was closed a moment ago, with something to read.
struct next_socket {
  socket ours;
  unique_fd peer;

  void open_as(int number) {
    int fds[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    ASSERT_EQ(fds[0], number) << "the lowest free number";
    ours = socket::adopt(fds[0]);
    peer = unique_fd{fds[1]};
    send_all(peer, "for others");
  }
};

TEST_F(CoClose, a_reader_that_was_woken_never_touches_the_next_socket_of_that_number) {
  run([] {
    auto [ours, peer] = tcp_pair();
    auto [other, other_peer] = tcp_pair();
    const int number = ours.native_handle();
    next_socket next;
    auto closer = co::spawn([&, &s = ours, &o = other]() -> co::task<> {
      co_await co_read_some_text(o);
      s.close();
      next.open_as(number);
    });
    auto reader = co_spawn_reader(ours);
    one_turn();
    // One poll wakes both, the closer first: it was the first to be registered.
    send_all(other_peer, "close it");
    send_all(peer, "never read");
    reader.join();
    closer.join();

    EXPECT_EQ(reader.result(), errc::closed);
    EXPECT_EQ(read_some_text(next.ours), "for others");
  });
}

TEST_F(CoClose, a_task_that_was_given_its_turn_never_touches_the_next_socket_of_that_number) {
  run([] {
    auto [ours, peer] = unix_pair();
    const int number = ours.native_handle();
    next_socket next;
    auto first = co::spawn([&, &s = ours]() -> co::task<> {
      co_await co_read_some_text(s);
      s.close();  // the turn is the second one's by now, but that has not run
      next.open_as(number);
    });
    auto second = co_spawn_reader(ours);
    one_turn();
    send_all(peer, "x");
    first.join();
    second.join();

    EXPECT_EQ(second.result(), errc::closed);
    EXPECT_EQ(read_some_text(next.ours), "for others");
  });
}

TEST_F(CoClose, a_reader_that_has_given_way_never_touches_the_next_socket_of_that_number) {
  run([] {
    auto [ours, peer] = unix_pair();
    const int number = ours.native_handle();
    next_socket next;
    send_all(peer, pattern(1'000));
    auto reader = co::spawn([&s = ours]() -> co::task<std::error_code> {
      std::error_code ec;
      while (!ec) co_await co_read_some_text(s, 1, ec);
      co_return ec;
    });
    one_turn();
    ASSERT_FALSE(reader.done());
    ours.close();
    next.open_as(number);
    reader.join();

    EXPECT_EQ(reader.result(), errc::closed);
    EXPECT_EQ(read_some_text(next.ours), "for others");
  });
}

TEST_F(CoClose, events_of_a_duplicate_never_wake_the_waiter_of_the_next_socket_of_that_number) {
  run([] {
    auto [ours, peer] = unix_pair();
    const int number = ours.native_handle();
    auto former = co_spawn_reader(ours);
    one_turn();  // registered
    const unique_fd duplicate{::dup(number)};
    ours.close();
    former.join();
    int fds[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    ASSERT_EQ(fds[0], number);
    socket next = socket::adopt(fds[0]);
    const unique_fd next_peer{fds[1]};
    auto reader = co::spawn(co_read_some_text(next));
    one_turn();
    send_all(peer, "for the duplicate");
    for (int i = 0; i < 200; ++i) one_turn();

    EXPECT_FALSE(reader.done());
    EXPECT_EQ(recv_all(duplicate, 17), "for the duplicate");
    send_all(next_peer, "for the next");
    reader.join();
    EXPECT_EQ(reader.result(), "for the next");
  });
}

TEST_F(CoClose, by_release_ends_the_wait_and_leaves_the_descriptor_open) {
  run([] {
    auto [ours, peer] = unix_pair();
    auto reader = co_spawn_reader(ours);
    one_turn();
    const unique_fd fd{ours.release()};
    reader.join();

    EXPECT_EQ(reader.result(), errc::closed);
    send_all(peer, "x");
    EXPECT_EQ(recv_all(fd, 1), "x");
  });
}

}  // namespace
}  // namespace weft::test
