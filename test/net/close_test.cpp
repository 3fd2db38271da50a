// Closing a socket that others wait on, and numbers of descriptors that come again.
#include <array>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <sys/socket.h>
#include <unistd.h>

#include "net_fixture.hpp"

namespace weft::test {
namespace {

using net::endpoint;
using net::socket;

// Enough to meet every order of events; a tenth of it where each round costs ten times as much.
constexpr int many_rounds = under_asan || under_tsan ? 10'000 : 100'000;

class Close : public runtime_test {};

TEST_F(Close, ends_the_wait_of_a_reader_within_one_turn) {
  for (auto make : {tcp_pair, unix_pair}) {
    run([&] {
      auto [ours, peer] = make();
      auto reader = spawn_reader(ours);
      one_turn();
      ours.close();
      one_turn();

      ASSERT_TRUE(reader.done());
      EXPECT_EQ(reader.result(), errc::closed);
      EXPECT_EQ(reader.result(), std::errc::bad_file_descriptor);
    });
  }
}

TEST_F(Close, ends_the_wait_of_a_borrowing_reader_within_one_turn) {
  run([] {
    auto [ours, peer] = tcp_pair();
    auto reader = spawn([&s = ours] {
      std::error_code ec;
      EXPECT_TRUE(s.read_some_borrowed(100, ec).empty());
      return ec;
    });
    one_turn();
    ours.close();
    one_turn();

    ASSERT_TRUE(reader.done());
    EXPECT_EQ(reader.result(), errc::closed);
  });
}

TEST_F(Close, ends_the_wait_of_a_writer_within_one_turn_and_says_what_went_out) {
  run([] {
    auto [ours, peer] = unix_pair();
    std::size_t written = 0;
    const std::string data = pattern(std::size_t{16} << 20);
    auto writer = spawn([&, &s = ours] {
      std::error_code ec;
      written = s.write(data, ec);
      return ec;
    });
    one_turn();
    ours.close();
    one_turn();

    ASSERT_TRUE(writer.done());
    EXPECT_EQ(writer.result(), errc::closed);
    EXPECT_EQ(recv_until_end(peer).size(), written);
  });
}

TEST_F(Close, ends_the_wait_of_an_acceptor_within_one_turn) {
  run([] {
    net::listener listening{endpoint::loopback_v4(0)};
    auto acceptor = spawn([&] {
      std::error_code ec;
      EXPECT_FALSE(listening.accept(ec).is_open());
      return ec;
    });
    one_turn();
    listening.close();
    one_turn();

    ASSERT_TRUE(acceptor.done());
    EXPECT_EQ(acceptor.result(), errc::closed);
  });
}

TEST_F(Close, ends_the_wait_of_a_datagram_receiver_within_one_turn) {
  run([] {
    net::datagram_socket ours{endpoint::loopback_v4(0)};
    auto receiver = spawn([&] {
      std::error_code ec;
      std::array<std::byte, 10> buffer;
      EXPECT_EQ(ours.receive(buffer, ec), 0u);
      return ec;
    });
    one_turn();
    ours.close();
    one_turn();

    ASSERT_TRUE(receiver.done());
    EXPECT_EQ(receiver.result(), errc::closed);
  });
}

TEST_F(Close, ends_the_waits_of_all_in_the_queue_within_one_turn) {
  run([] {
    auto [ours, peer] = unix_pair();
    fill(ours.native_handle());
    std::vector<fiber<std::error_code>> waiting;
    for (int i = 0; i < 5; ++i) {
      waiting.push_back(spawn_reader(ours));
      waiting.push_back(spawn([&s = ours] {
        std::error_code ec;
        s.write("x", ec);
        return ec;
      }));
    }
    one_turn();
    ours.close();
    one_turn();

    for (auto& each : waiting) {
      ASSERT_TRUE(each.done());
      EXPECT_EQ(each.result(), errc::closed);
    }
  });
}

TEST_F(Close, by_the_destructor_ends_waits_too) {
  run([] {
    auto pair = tcp_pair();
    auto ours = std::make_unique<socket>(std::move(pair.ours));
    auto reader = spawn_reader(*ours);
    one_turn();
    ours.reset();
    reader.join();

    EXPECT_EQ(reader.result(), errc::closed);
  });
}

TEST_F(Close, by_assignment_ends_the_waits_on_the_former_socket_and_not_on_the_new_one) {
  run([] {
    auto former = tcp_pair();
    auto latter = tcp_pair();
    auto on_former = spawn_reader(former.ours);
    auto on_latter = spawn_reader(latter.ours);
    one_turn();
    former.ours = std::move(latter.ours);
    one_turn();

    ASSERT_TRUE(on_former.done());
    EXPECT_EQ(on_former.result(), errc::closed);
    EXPECT_FALSE(on_latter.done());
    send_all(latter.peer, "x");
    on_latter.join();
    EXPECT_FALSE(on_latter.result());
  });
}

TEST_F(Close, twice_and_of_a_closed_socket_does_nothing) {
  run([] {
    auto [ours, peer] = tcp_pair();
    ours.close();
    ours.close();
    socket{}.close();

    EXPECT_FALSE(ours.is_open());
  });
}

TEST_F(Close, after_a_shutdown_wakes_the_reader_every_time) {
  run([] {
    for (int i = 0; i < many_rounds; ++i) {
      auto [ours, peer] = unix_pair();
      auto reader = spawn_reader(ours);
      one_turn();
      ours.shutdown(socket::side::both);
      if (i % 2 == 0) one_turn();
      ours.close();
      reader.join();

      ASSERT_TRUE(reader.result() == errc::closed || reader.result() == errc::eof);
    }
  });
}

// ---- numbers that come again -----------------------------------------------------------------

TEST_F(Close, of_a_socket_whose_reader_was_woken_and_has_not_run_yet_is_what_the_reader_sees) {
  run([] {
    auto [ours, peer] = tcp_pair();
    auto [other, other_peer] = tcp_pair();
    auto closer = spawn([&, &s = ours, &o = other] {
      read_some_text(o);
      s.close();
    });
    auto reader = spawn_reader(ours);
    one_turn();
    // One poll wakes both, the closer first: it was the first to be registered.
    send_all(other_peer, "close it");
    send_all(peer, "never read");
    reader.join();
    closer.join();

    EXPECT_EQ(reader.result(), errc::closed);
  });
}

TEST_F(Close, a_reader_that_was_woken_never_touches_the_next_socket_of_that_number) {
  run([] {
    auto [ours, peer] = tcp_pair();
    auto [other, other_peer] = tcp_pair();
    const int number = ours.native_handle();
    socket next;
    unique_fd next_peer;
    auto closer = spawn([&, &s = ours, &o = other] {
      read_some_text(o);
      s.close();
      int fds[2];
      ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
      ASSERT_EQ(fds[0], number) << "the lowest free number";
      next = socket::adopt(fds[0]);
      next_peer = unique_fd{fds[1]};
      send_all(next_peer, "for others");
    });
    auto reader = spawn_reader(ours);
    one_turn();
    send_all(other_peer, "close it");
    send_all(peer, "never read");
    reader.join();
    closer.join();

    EXPECT_EQ(reader.result(), errc::closed);
    EXPECT_EQ(read_some_text(next), "for others");
  });
}

TEST_F(Close, a_fiber_that_was_given_its_turn_never_touches_the_next_socket_of_that_number) {
  run([] {
    auto [ours, peer] = unix_pair();
    const int number = ours.native_handle();
    unique_fd next_peer;
    socket next;
    auto first = spawn([&, &s = ours] {
      read_some_text(s);
      s.close();  // the turn is the second one's by now, but that has not run
      int fds[2];
      ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
      ASSERT_EQ(fds[0], number);
      next = socket::adopt(fds[0]);
      next_peer = unique_fd{fds[1]};
      send_all(next_peer, "for others");
    });
    auto second = spawn_reader(ours);
    one_turn();
    send_all(peer, "x");
    first.join();
    second.join();

    EXPECT_EQ(second.result(), errc::closed);
    EXPECT_EQ(read_some_text(next), "for others");
  });
}

// Has the worker poll.
void have_polled(socket& clock, const unique_fd& clock_peer) {
  auto reader = spawn([&] { read_some_text(clock); });
  one_turn();
  send_all(clock_peer, "t");
  reader.join();
}

// A duplicate keeps the former connection, and its registration with the poller, alive: its events
// come, with the former tag, while the number is somebody else's.
TEST_F(Close, events_of_former_sockets_never_wake_the_waiters_of_the_next_ones) {
  run([] {
    auto [clock, clock_peer] = unix_pair();
    unique_fd ghost;
    unique_fd ghost_peer;
    int number = -1;
    for (int i = 0; i < many_rounds; ++i) {
      auto [ours, peer] = unix_pair();
      ASSERT_TRUE(i == 0 || ours.native_handle() == number);
      number = ours.native_handle();
      std::string got;
      auto reader = spawn([&, &s = ours] {
        std::error_code ec;
        got = read_some_text(s, 10, ec);
        return ec;
      });
      one_turn();
      if (ghost) send_all(ghost_peer, "stale");
      have_polled(clock, clock_peer);
      ASSERT_FALSE(reader.done());
      if (i % 2 == 0) send_all(peer, "fresh");
      if (i % 3 == 0) have_polled(clock, clock_peer);
      ghost = unique_fd{::dup(number)};
      ghost_peer = std::move(peer);
      ours.close();
      reader.join();
      ASSERT_TRUE(reader.result() == errc::closed || got == "fresh");
    }
  });
}

TEST_F(Close, events_of_a_duplicate_never_wake_the_waiter_of_the_next_socket_of_that_number) {
  run([] {
    auto [ours, peer] = unix_pair();
    const int number = ours.native_handle();
    auto former = spawn_reader(ours);
    one_turn();  // registered
    const unique_fd duplicate{::dup(number)};
    ours.close();
    former.join();
    int fds[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    ASSERT_EQ(fds[0], number);
    socket next = socket::adopt(fds[0]);
    const unique_fd next_peer{fds[1]};
    auto reader = spawn([&] { return read_some_text(next); });
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

TEST_F(Close, a_duplicate_that_takes_the_number_of_the_closed_socket_can_be_waited_on) {
  run([] {
    auto [ours, peer] = unix_pair();
    const int number = ours.native_handle();
    auto former = spawn_reader(ours);
    one_turn();
    unique_fd duplicate{::dup(number)};
    ours.close();
    former.join();
    ASSERT_EQ(::dup2(duplicate.get(), number), number);
    duplicate.reset();
    socket next = socket::adopt(number);
    auto reader = spawn([&] { return read_some_text(next); });
    one_turn();
    send_all(peer, "x");
    reader.join();

    EXPECT_EQ(reader.result(), "x");
  });
}

TEST_F(Close, a_socket_closed_by_others_behind_our_back_leaves_its_number_usable) {
  run([] {
    auto [ours, peer] = unix_pair();
    auto reader = spawn_reader(ours);
    one_turn();
    const int number = ours.native_handle();
    ::close(number);
    int fds[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    ASSERT_EQ(fds[0], number);
    socket next = socket::adopt(fds[0]);
    const unique_fd next_peer{fds[1]};
    reader.join();
    send_all(next_peer, "x");

    EXPECT_EQ(reader.result(), errc::closed);
    EXPECT_EQ(read_some_text(next), "x");
  });
}

// A socket whose number others have closed, and the next one that got it.
struct old_and_next {
  socket old;
  socket next;
  unique_fd next_peer;
};

old_and_next with_one_number() {
  socket old = unix_pair().ours;
  const int number = old.native_handle();
  ::close(number);
  std::array<int, 2> fds{};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()), 0);
  EXPECT_EQ(fds[0], number);
  return {std::move(old), socket::adopt(fds[0]), unique_fd{fds[1]}};
}

std::string passes_through(old_and_next& both) {
  auto sender = spawn([&both] { send_all(both.next_peer, "x"); });
  return read_some_text(both.next);
}

TEST_F(Close, of_an_old_socket_leaves_the_next_one_with_its_number_open) {
  run([] {
    for (const bool destroyed : {false, true}) {
      old_and_next both = with_one_number();
      auto reader = spawn_reader(both.next);
      one_turn();
      if (destroyed) {
        const socket gone = std::move(both.old);
      } else {
        both.old.close();
      }
      one_turn();
      EXPECT_FALSE(reader.done());
      send_all(both.next_peer, "x");

      reader.join();
      EXPECT_EQ(reader.result(), std::error_code{});
    }
  });
}

TEST_F(Close, an_old_socket_whose_number_came_again_gives_nothing_away) {
  run([] {
    old_and_next both = with_one_number();
    EXPECT_EQ(passes_through(both), "x");  // parks, so it is registered with the poller

    EXPECT_EQ(both.old.release(), -1);
    EXPECT_NE(::fcntl(both.next.native_handle(), F_GETFL) & O_NONBLOCK, 0);
    EXPECT_EQ(passes_through(both), "x");
  });
}

TEST_F(Close, an_old_socket_whose_number_came_again_is_closed_for_every_call) {
  run([] {
    old_and_next both = with_one_number();
    socket& old = both.old;
    const int size = both.next.get_option(SOL_SOCKET, SO_SNDBUF);
    std::error_code ec;

    EXPECT_FALSE(old.is_open());
    EXPECT_EQ(old.native_handle(), -1);
    EXPECT_EQ(code_thrown_by([&] { old.write("x"); }), errc::closed);
    EXPECT_EQ(code_thrown_by([&] { old.write(""); }), errc::closed);
    EXPECT_EQ(code_thrown_by([&] { old.shutdown(); }), errc::closed);
    EXPECT_EQ(code_thrown_by([&] { old.set_send_buffer_size(8192); }), errc::closed);
    EXPECT_EQ(code_thrown_by([&] { old.set_linger(std::chrono::seconds{0}); }), errc::closed);
    EXPECT_EQ(code_thrown_by([&] { (void)old.get_option(SOL_SOCKET, SO_TYPE); }), errc::closed);
    EXPECT_EQ(code_thrown_by([&] { (void)old.local_endpoint(); }), errc::closed);
    EXPECT_EQ(code_thrown_by([&] { (void)old.remote_endpoint(); }), errc::closed);
    EXPECT_EQ(both.next.get_option(SOL_SOCKET, SO_SNDBUF), size);
    EXPECT_EQ(both.next.write("y", ec), 1u);
    EXPECT_FALSE(ec);
  });
}

TEST_F(Close, of_an_old_listener_whose_number_came_again_removes_its_file) {
  run([] {
    const scratch_folder folder;
    const endpoint place = endpoint::unix_domain(folder.path("listener"));
    net::listener old{place};
    const int number = old.native_handle();
    ::close(number);
    const socket next = socket::adopt(unix_pair().ours.release());
    ASSERT_EQ(next.native_handle(), number);
    old.close();

    EXPECT_TRUE(next.is_open());
    EXPECT_NE(::fcntl(number, F_GETFD), -1);
    EXPECT_EQ(::access(folder.path("listener").c_str(), F_OK), -1);
  });
}

}  // namespace
}  // namespace weft::test
