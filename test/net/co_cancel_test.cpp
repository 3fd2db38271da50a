// Operations on sockets of coroutines that are cancelled: they end, they transfer nothing that was
// not already under way, and the socket goes on serving others.
#include <array>
#include <chrono>
#include <poll.h>
#include <sys/socket.h>

#include "coroutines.hpp"

namespace weft::test {
namespace {

using namespace std::chrono_literals;
using net::endpoint;
using net::socket;

class CoCancellation : public runtime_test {};

void expect_cancelled(const outcome& result) {
  EXPECT_EQ(result.count, 0u);
  EXPECT_EQ(result.ec, errc::cancelled);
}

co::task<std::size_t> co_read_into_array(socket& from, std::error_code& ec) {
  std::array<std::byte, 100> buffer;
  co_return co_await from.co_read_some(buffer, ec);
}

co::task<std::size_t> co_count_borrowed(socket& from, std::error_code& ec) {
  const auto lent = co_await from.co_read_some_borrowed(100, ec);
  co_return lent.size();
}

co::task<std::size_t> co_count_accepted(net::listener& from, std::error_code& ec) {
  const socket accepted = co_await from.co_accept(ec);
  co_return accepted.is_open() ? 1 : 0;
}

// ---- reading ---------------------------------------------------------------------------------

TEST_F(CoCancellation, ends_the_wait_of_a_reader_and_the_next_one_gets_the_bytes) {
  for (auto make : {tcp_pair, unix_pair}) {
    run([&] {
      auto [ours, peer] = make();
      expect_cancelled(
          cancel_while_suspended([&s = ours](auto& ec) { return co_read_into_array(s, ec); }));
      send_all(peer, "for the next");

      EXPECT_EQ(co::block_on(co_read_some_text(ours)), "for the next");
    });
  }
}

TEST_F(CoCancellation, ends_the_wait_of_a_borrowing_reader) {
  run([] {
    auto [ours, peer] = tcp_pair();
    expect_cancelled(
        cancel_while_suspended([&s = ours](auto& ec) { return co_count_borrowed(s, ec); }));
    send_all(peer, "x");

    EXPECT_EQ(ours.read_some_borrowed().text(), "x");
  });
}

TEST_F(CoCancellation, of_a_read_that_has_begun_says_how_many_bytes_came) {
  run([] {
    auto [ours, peer] = tcp_pair();
    std::array<std::byte, 10> buffer;
    send_all(peer, "abc");
    const outcome result =
        cancel_while_suspended([&, &s = ours](auto& ec) { return s.co_read(buffer, ec); });

    EXPECT_EQ(result.count, 3u);
    EXPECT_EQ(result.ec, errc::cancelled);
    EXPECT_EQ(text_of(std::span{buffer}.first(3)), "abc");
    send_all(peer, "def");
    EXPECT_EQ(read_some_text(ours), "def");
  });
}

TEST_F(CoCancellation, keeps_a_reader_from_taking_bytes_that_are_there) {
  run([] {
    auto [ours, peer] = tcp_pair();
    send_all(peer, "untouched");
    std::array<std::byte, 4> buffer;
    const auto read = [&, &s = ours](auto&& operation) {
      expect_cancelled(
          cancel_before_it_is_awaited([&](std::error_code& ec) { return operation(s, ec); }));
    };
    read([&](socket& s, auto& ec) { return s.co_read_some(buffer, ec); });
    read([&](socket& s, auto& ec) { return s.co_read(buffer, ec); });
    read([&](socket& s, auto& ec) { return s.co_read_some({}, ec); });
    read([&](socket& s, auto& ec) { return co_count_borrowed(s, ec); });

    EXPECT_EQ(read_some_text(ours), "untouched");
  });
}

TEST_F(CoCancellation, is_told_before_the_socket_is_found_closed) {
  run([] {
    socket nothing;
    net::listener deaf;
    expect_cancelled(
        cancel_before_it_is_awaited([&](auto& ec) { return nothing.co_write("x", ec); }));
    expect_cancelled(
        cancel_before_it_is_awaited([&](auto& ec) { return nothing.co_write("", ec); }));
    expect_cancelled(
        cancel_before_it_is_awaited([&](auto& ec) { return co_count_accepted(deaf, ec); }));
  });
}

// ---- writing ---------------------------------------------------------------------------------

TEST_F(CoCancellation, keeps_a_writer_from_sending_a_single_byte) {
  for (auto make : {tcp_pair, unix_pair}) {
    run([&] {
      auto [ours, peer] = make();
      expect_cancelled(
          cancel_before_it_is_awaited([&s = ours](auto& ec) { return s.co_write("secret", ec); }));
      EXPECT_EQ(arrived_at(peer), "");
      ours.write("public");

      EXPECT_EQ(recv_all(peer, 6), "public");
    });
  }
}

TEST_F(CoCancellation, of_a_writer_says_how_many_bytes_went_out) {
  const std::string data = pattern(std::size_t{32} << 20);
  for (auto make : {tcp_pair, unix_pair}) {
    run([&] {
      auto [ours, peer] = make();
      const outcome result =
          cancel_while_suspended([&, &s = ours](auto& ec) { return s.co_write(data, ec); });
      EXPECT_EQ(result.ec, errc::cancelled);
      EXPECT_GT(result.count, 0u);
      EXPECT_LT(result.count, data.size());
      ours.shutdown();
      const std::string arrived = recv_until_end(peer);

      EXPECT_EQ(arrived.size(), result.count);
      EXPECT_TRUE(data.starts_with(arrived));
    });
  }
}

TEST_F(CoCancellation, of_a_writer_leaves_the_socket_to_the_next_one) {
  run([] {
    auto [ours, peer] = unix_pair();
    const std::size_t before = fill(ours.native_handle());
    expect_cancelled(
        cancel_while_suspended([&s = ours](auto& ec) { return s.co_write("no", ec); }));
    auto writer = co_spawn_writer(ours, "yes");
    one_turn();
    recv_all(peer, before);
    writer.join();

    EXPECT_EQ(recv_all(peer, 3), "yes");
  });
}

// ---- the turns of several tasks --------------------------------------------------------------

TEST_F(CoCancellation, in_the_queue_of_readers_passes_the_turn_on) {
  run([] {
    auto [ours, peer] = tcp_pair();
    auto first = co::spawn(co_read_text(ours, 2));
    auto second = co_spawn_reader(ours);
    auto third = co::spawn(co_read_text(ours, 2));
    one_turn();
    second.request_cancel();
    one_turn();
    ASSERT_TRUE(second.done());
    send_all(peer, "1133");
    first.join();
    third.join();

    EXPECT_EQ(first.result(), "11");
    EXPECT_EQ(second.result(), errc::cancelled);
    EXPECT_EQ(third.result(), "33");
  });
}

TEST_F(CoCancellation, of_the_reader_whose_turn_it_is_passes_the_turn_on) {
  run([] {
    auto [ours, peer] = tcp_pair();
    auto first = co_spawn_reader(ours);
    auto second = co::spawn(co_read_some_text(ours));
    one_turn();
    first.request_cancel();
    first.join();
    send_all(peer, "for the second");
    second.join();

    EXPECT_EQ(first.result(), errc::cancelled);
    EXPECT_EQ(second.result(), "for the second");
  });
}

TEST_F(CoCancellation, of_a_reader_that_was_woken_and_has_not_run_yet_leaves_the_bytes) {
  for (const bool borrowed : {false, true}) {
    run([&] {
      auto [ours, peer] = tcp_pair();
      auto [other, other_peer] = tcp_pair();
      std::string got;
      std::error_code ec;
      fiber<> reader;
      auto canceller = co::spawn([&, &o = other]() -> co::task<> {
        co_await co_read_some_text(o);
        reader.request_cancel();
      });
      reader = co::spawn([&, &s = ours]() -> co::task<> {
        if (borrowed) {
          const auto lent = co_await s.co_read_some_borrowed(100, ec);
          got = lent.text();
        } else {
          got = co_await co_read_some_text(s, 100, ec);
        }
      });
      one_turn();
      // One poll wakes both, the canceller first: it was the first to be registered.
      send_all(other_peer, "cancel it");
      send_all(peer, "abc");
      canceller.join();
      reader.join();
      EXPECT_EQ(got, "");
      EXPECT_EQ(ec, errc::cancelled);

      EXPECT_EQ(read_some_text(ours), "abc");
    });
  }
}

TEST_F(CoCancellation, of_a_writer_that_was_woken_and_has_not_run_yet_sends_nothing) {
  run([] {
    auto [ours, peer] = unix_pair();
    auto [other, other_peer] = tcp_pair();
    const std::size_t before = fill(ours.native_handle());
    fiber<outcome> writer;
    auto canceller = co::spawn([&, &o = other]() -> co::task<> {
      co_await co_read_some_text(o);
      writer.request_cancel();
    });
    writer = co_spawn_writer(ours, "never");
    one_turn();
    // One poll wakes both, the canceller first: its event comes first.
    send_all(other_peer, "cancel it");
    recv_all(peer, before);
    canceller.join();
    writer.join();

    expect_cancelled(writer.result());
    EXPECT_EQ(arrived_at(peer), "");
  });
}

TEST_F(CoCancellation, of_a_writer_that_was_given_its_turn_and_has_not_run_sends_nothing) {
  run([] {
    auto [ours, peer] = unix_pair();
    const std::size_t before = fill(ours.native_handle());
    fiber<outcome> second;
    auto first = co::spawn([&, &s = ours]() -> co::task<> {
      co_await s.co_write("1");
      // The turn is the second one's by now, but that has not run.
      second.request_cancel();
    });
    one_turn();
    second = co_spawn_writer(ours, "2");
    auto third = co_spawn_writer(ours, "3");
    one_turn();
    recv_all(peer, before);
    third.join();
    second.join();
    first.join();

    expect_cancelled(second.result());
    EXPECT_EQ(recv_all(peer, 2), "13");
    EXPECT_EQ(arrived_at(peer), "");
  });
}

// ---- listeners and datagrams -----------------------------------------------------------------

TEST_F(CoCancellation, of_an_acceptor_leaves_the_connection_to_the_next_one) {
  run([] {
    net::listener listening{endpoint::loopback_v4(0)};
    expect_cancelled(
        cancel_while_suspended([&](auto& ec) { return co_count_accepted(listening, ec); }));
    const unique_fd client = connect_tcp(listening.local_endpoint().port());
    expect_cancelled(
        cancel_before_it_is_awaited([&](auto& ec) { return co_count_accepted(listening, ec); }));

    EXPECT_TRUE(co::block_on(listening.co_accept()).is_open());
  });
}

TEST_F(CoCancellation, of_a_datagram_receiver_leaves_the_datagram_to_the_next_one) {
  run([] {
    net::datagram_socket receiver{endpoint::loopback_v4(0)};
    net::datagram_socket sender{endpoint::loopback_v4(0)};
    std::array<std::byte, 100> buffer;
    expect_cancelled(
        cancel_while_suspended([&](auto& ec) { return receiver.co_receive(buffer, ec); }));
    sender.send_to(bytes_of("kept"), receiver.local_endpoint());
    expect_cancelled(
        cancel_before_it_is_awaited([&](auto& ec) { return receiver.co_receive(buffer, ec); }));

    EXPECT_EQ(text_of(std::span{buffer}.first(receiver.receive(buffer))), "kept");
  });
}

TEST_F(CoCancellation, keeps_a_datagram_sender_from_sending) {
  run([] {
    net::datagram_socket receiver{endpoint::loopback_v4(0)};
    net::datagram_socket sender{endpoint::loopback_v4(0)};
    const endpoint to = receiver.local_endpoint();
    expect_cancelled(cancel_before_it_is_awaited(
        [&](auto& ec) { return sender.co_send_to(bytes_of("no"), to, ec); }));
    sender.send_to(bytes_of("yes"), to);
    std::array<std::byte, 100> buffer;

    EXPECT_EQ(text_of(std::span{buffer}.first(receiver.receive(buffer))), "yes");
  });
}

// ---- scopes ----------------------------------------------------------------------------------

TEST_F(CoCancellation, unwinds_a_task_through_the_calls_that_throw) {
  run([] {
    auto [ours, peer] = tcp_pair();
    auto reader = co::spawn(co_read_some_text(ours));
    one_turn();
    reader.request_cancel();
    reader.join();

    EXPECT_EQ(reader.state(), fiber_state::cancelled);
    EXPECT_EQ(code_thrown_by([&] { reader.result(); }), errc::cancelled);
  });
}

TEST_F(CoCancellation, by_a_timeout_around_it_ends_a_wait_and_loses_nothing) {
  run([] {
    auto [ours, peer] = tcp_pair();
    net::listener listening{endpoint::loopback_v4(0)};
    net::datagram_socket datagrams{endpoint::loopback_v4(0)};
    std::array<std::byte, 8> buffer;
    const auto timed_out = [](auto&& operation) {
      return in_coroutine([&]() -> co::task<std::error_code> {
        std::error_code ec;
        timeout limit{1ms};
        (void)co_await operation(ec);
        co_return ec;
      });
    };

    EXPECT_EQ(timed_out([&, &s = ours](auto& ec) { return s.co_read_some(buffer, ec); }),
              errc::timed_out);
    EXPECT_EQ(timed_out([&](auto& ec) { return listening.co_accept(ec); }), errc::timed_out);
    EXPECT_EQ(timed_out([&](auto& ec) { return datagrams.co_receive(buffer, ec); }),
              errc::timed_out);
    send_all(peer, "late");
    EXPECT_EQ(co::block_on(co_read_some_text(ours)), "late");
  });
}

TEST_F(CoCancellation, of_a_scope_that_is_left_does_not_concern_the_next_operation) {
  run([] {
    auto [ours, peer] = tcp_pair();
    auto child = co::spawn([&s = ours]() -> co::task<std::string> {
      std::error_code ec;
      {
        cancel_scope scope;
        scope.request_cancel();
        co_await co_read_some_text(s, 10, ec);
        EXPECT_EQ(ec, errc::cancelled);
      }
      co_return co_await co_read_some_text(s, 10);
    });
    one_turn();
    send_all(peer, "back");
    child.join();

    EXPECT_EQ(child.result(), "back");
  });
}

TEST_F(CoCancellation, lets_a_task_that_ignores_it_freeze_nobody_and_names_it) {
  run([] {
    auto [ours, peer] = tcp_pair();
    bool stop = false;
    auto stubborn = co::spawn(spawn_options{.name = "stubborn"}, [&, &s = ours]() -> co::task<> {
      std::error_code ec;
      while (!stop) co_await s.co_write("x", ec);
    });
    one_turn();
    stubborn.request_cancel();
    for (int i = 0; i < 30; ++i) one_turn();
    stop = true;
    stubborn.join();
  });
  const auto lines = take_diagnostics();

  ASSERT_FALSE(lines.empty());
  EXPECT_NE(lines[0].find("stubborn"), std::string::npos) << lines[0];
}

}  // namespace
}  // namespace weft::test
