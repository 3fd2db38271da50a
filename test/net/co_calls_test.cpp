// The system calls that coroutines make: as many as operations that block, and shared as fairly.
#include <array>
#include <string>
#include <vector>

#include "coroutines.hpp"
#include "system_calls.hpp"

namespace weft::test {
namespace {

using net::endpoint;
using net::socket;

class CoCalls : public watched_calls_test {};

constexpr int rounds = 100;

struct calls_made {
  std::size_t recv_calls;
  std::size_t send_calls;
};

calls_made take_calls() {
  const calls_made made{system_calls().recv_calls, system_calls().send_calls};
  system_calls() = {};
  return made;
}

co::task<> co_echo(socket& connection) {
  while (const auto data = co_await connection.co_read_some_borrowed()) {
    co_await connection.co_write(data);
  }
}

co::task<> co_ping(socket& connection, int count) {
  for (int i = 0; i < count; ++i) {
    co_await connection.co_write("ping");
    const std::string answer = co_await co_read_some_text(connection);
    EXPECT_EQ(answer, "ping");
  }
}

calls_made calls_of_blocking_echo(socket_pair pair) {
  auto& [left, right] = pair;
  auto server = spawn([&s = right] {
    while (const auto data = s.read_some_borrowed()) s.write(data);
  });
  system_calls() = {};
  auto client = spawn([&s = left] {
    for (int i = 0; i < rounds; ++i) {
      s.write("ping");
      EXPECT_EQ(read_some_text(s), "ping");
    }
  });
  client.join();
  left.shutdown();
  server.join();
  return take_calls();
}

calls_made calls_of_echo_in_coroutines(socket_pair pair) {
  auto& [left, right] = pair;
  auto server = co::spawn(co_echo(right));
  system_calls() = {};
  auto client = co::spawn(co_ping(left, rounds));
  client.join();
  left.shutdown();
  server.join();
  client.result();
  return take_calls();
}

TEST_F(CoCalls, of_an_echo_are_as_many_as_in_the_form_that_blocks) {
  for (auto make : {weft_tcp_pair, weft_unix_pair}) {
    run([&] {
      const calls_made blocking = calls_of_blocking_echo(make());
      const calls_made made = calls_of_echo_in_coroutines(make());

      EXPECT_EQ(made.recv_calls, blocking.recv_calls);
      EXPECT_EQ(made.send_calls, blocking.send_calls);
    });
  }
}

TEST_F(CoCalls, after_a_short_read_on_a_tcp_stream_are_none_until_the_next_event) {
  run([] {
    auto [ours, peer] = tcp_pair();
    auto reader = co::spawn([&s = ours]() -> co::task<std::string> {
      co_await co_read_some_text(s, 100);
      co_await co_read_some_text(s, 100);
      co_return co_await co_read_some_text(s, 100);
    });
    one_turn();
    system_calls().recv_calls = 0;
    send_all(peer, "!");
    give_way_until([] { return system_calls().recv_calls != 0; });
    system_calls().recv_calls = 0;
    send_all(peer, "first");
    give_way_until([] { return system_calls().recv_calls != 0; });
    for (int i = 0; i < 200; ++i) one_turn();

    EXPECT_EQ(system_calls().recv_calls, 1u);
    EXPECT_FALSE(reader.done());
    send_all(peer, "second");
    reader.join();
    EXPECT_EQ(reader.result(), "second");
    EXPECT_EQ(system_calls().recv_calls, 2u);
  });
}

TEST_F(CoCalls, between_which_data_or_the_end_arrives_lose_nothing) {
  for (const bool borrowed : {false, true}) {
    run([&] {
      auto [ours, peer] = tcp_pair();
      send_all(peer, "first ");
      system_calls().after_recv = [&p = peer](ssize_t) {
        system_calls().after_recv = nullptr;
        send_all(p, "second");
        p.reset();
      };
      std::error_code ec;
      const auto got = in_coroutine([&, &s = ours]() -> co::task<std::string> {
        if (!borrowed) co_return co_await co_read_to_end(s, ec, 100);
        std::string all;
        while (!ec) {
          const auto lent = co_await s.co_read_some_borrowed(100, ec);
          all += lent.text();
        }
        co_return all;
      });

      EXPECT_EQ(got, "first second");
      EXPECT_EQ(ec, errc::eof);
    });
  }
}

constexpr std::string_view ordinary = "abcdefghij";

TEST_F(CoCalls, around_an_urgent_byte_lose_no_ordinary_one) {
  for (const bool late : {false, true}) {
    for (std::size_t position = 0; position <= ordinary.size(); position += 5) {
      run([&] {
        auto [ours, peer] = tcp_pair();
        auto reader = co::spawn([&s = ours]() -> co::task<std::string> {
          co_await co_read_text(s, 1);
          co_return co_await co_read_pieces(s, ordinary.size());
        });
        one_turn();  // registered
        system_calls().recv_calls = 0;
        send_all(peer, "!");
        if (late) give_way_until([] { return system_calls().recv_calls != 0; });
        if (position != 0) send_all(peer, ordinary.substr(0, position));
        send_urgent(peer, 'U');
        if (position != ordinary.size()) send_all(peer, ordinary.substr(position));
        reader.join();

        EXPECT_EQ(reader.result(), ordinary) << "urgent at " << position;
      });
    }
  }
}

TEST_F(CoCalls, that_take_little_at_a_time_add_up_to_whole_reads_and_writes) {
  run([] {
    auto [left, right] = weft_unix_pair();
    system_calls().at_most = 7;
    const std::string data = pattern(5'000);
    auto writer = co_spawn_writer(left, data);
    const std::string got = in_coroutine([&s = right] { return co_read_text(s, 5'000); });
    writer.join();

    EXPECT_TRUE(got == data);
    EXPECT_EQ(writer.result().count, data.size());
  });
}

// ---- the budget ------------------------------------------------------------------------------

class CoBudget : public watched_calls_test {
protected:
  // Runs the coroutine of `busy`, whose operations never have to wait, beside another that is
  // always ready. Returns how many turns that one had.
  template <class Busy>
  std::size_t turns_beside(Busy&& busy) {
    bool done = false;
    std::size_t turns = 0;
    auto other = co::spawn([&]() -> co::task<> {
      while (!done) {  // NOLINT(bugprone-infinite-loop): ended from outside
        ++turns;
        co_await co::yield();
      }
    });
    in_coroutine(busy);
    done = true;
    other.join();
    return turns;
  }

  // The same for one operation many times: `operation()` returns what is awaited.
  template <class Operation>
  std::size_t turns_beside_repeated(int times, Operation&& operation) {
    return turns_beside([&]() -> co::task<> {
      for (int i = 0; i < times; ++i) (void)co_await operation();
    });
  }
};

constexpr int calls = 1'000;
// One turn after 64 calls, and one at the end.
constexpr std::size_t turns_at_least = calls / 64;

TEST_F(CoBudget, of_a_reader_that_never_waits_ends_after_some_reads) {
  run([&] {
    auto [ours, peer] = unix_pair();
    send_all(peer, pattern(std::size_t{2} * calls));
    std::array<std::byte, 1> buffer;

    EXPECT_GE(turns_beside_repeated(calls, [&, &s = ours] { return s.co_read_some(buffer); }),
              turns_at_least);
    EXPECT_GE(turns_beside_repeated(calls, [&s = ours] { return s.co_read_some_borrowed(1); }),
              turns_at_least);
    EXPECT_GE(turns_beside_repeated(calls, [&s = ours] { return s.co_read_some({}); }),
              turns_at_least);
  });
}

TEST_F(CoBudget, of_calls_that_fail_ends_too) {
  run([&] {
    const endpoint nobody = endpoint::loopback_v4(local_port(unique_fd{listen_tcp()}));
    socket closed;
    net::listener deaf;
    net::datagram_socket shut;
    net::datagram_socket datagrams{endpoint::loopback_v4(0)};
    std::error_code ec;
    endpoint from;
    std::array<std::byte, 8> buffer;
    const auto turns = [&](auto&& operation) { return turns_beside_repeated(calls, operation); };

    EXPECT_GE(turns([&] { return closed.co_read_some(buffer, ec); }), turns_at_least);
    EXPECT_GE(turns([&] { return closed.co_write("", ec); }), turns_at_least);
    EXPECT_GE(turns([&] { return socket::co_connect(nobody, ec); }), turns_at_least);
    EXPECT_GE(turns([&] { return datagrams.co_send({}, ec); }), turns_at_least);
    EXPECT_EQ(ec, std::errc::destination_address_required);
    EXPECT_GE(turns([&] { return shut.co_send({}, ec); }), turns_at_least);
    EXPECT_GE(turns([&] { return shut.co_receive_from(buffer, from, ec); }), turns_at_least);
    EXPECT_GE(turns([&] { return deaf.co_accept(ec); }), turns_at_least);
    EXPECT_GE(turns([&] { return deaf.co_accept(from, ec); }), turns_at_least);
  });
}

TEST_F(CoBudget, of_a_cancelled_task_that_goes_on_ends_too) {
  run([&] {
    auto [ours, peer] = unix_pair();
    auto pair = weft_unix_pair();
    net::stream stream{std::move(pair.left)};
    net::listener listening{endpoint::loopback_v4(0)};
    net::datagram_socket datagrams{endpoint::loopback_v4(0)};
    std::error_code ec;
    std::array<std::byte, 8> buffer;
    const endpoint there = listening.local_endpoint();
    const auto turns = [&](auto&& operation) {
      return turns_beside([&]() -> co::task<> {
        cancel_scope scope;
        scope.request_cancel();
        for (int i = 0; i < calls - 1; ++i) (void)co_await operation();
      });
    };
    const std::size_t enough = turns_at_least;

    EXPECT_GE(turns([&, &s = ours] { return s.co_read_some(buffer, ec); }), enough);
    EXPECT_GE(turns([&, &s = ours] { return s.co_write("x", ec); }), enough);
    EXPECT_GE(turns([&] { return listening.co_accept(ec); }), enough);
    EXPECT_GE(turns([&] { return socket::co_connect(there, ec); }), enough);
    EXPECT_GE(turns([&] { return datagrams.co_receive(buffer, ec); }), enough);
    EXPECT_GE(turns([&] { return datagrams.co_send_to({}, there, ec); }), enough);
    EXPECT_GE(turns([&] { return stream.co_read_line(ec); }), enough);
    EXPECT_GE(turns([&] { return stream.co_flush(ec); }), enough);
    EXPECT_EQ(ec, errc::cancelled);
  });
}

TEST_F(CoBudget, of_a_writer_that_never_waits_ends_after_some_writes) {
  run([&] {
    auto [ours, peer] = tcp_pair();

    EXPECT_GE(turns_beside_repeated(calls, [&s = ours] { return s.co_write("x"); }),
              turns_at_least);
    EXPECT_EQ(recv_all(peer, calls).size(), static_cast<std::size_t>(calls));
  });
}

TEST_F(CoBudget, ends_within_a_single_long_read_or_write) {
  run([&] {
    auto [left, right] = weft_unix_pair();
    system_calls().at_most = 1;
    const std::string data = pattern(200);
    std::string got;

    EXPECT_GE(turns_beside([&, &s = left]() -> co::task<> { co_await s.co_write(data); }),
              200u / 64);
    EXPECT_GE(
        turns_beside([&, &s = right]() -> co::task<> { got = co_await co_read_text(s, 200); }),
        200u / 64);
    EXPECT_EQ(got, data);
  });
}

TEST_F(CoBudget, of_a_long_write_ends_and_the_socket_may_then_be_closed_or_the_writer_cancelled) {
  for (const bool cancel : {true, false}) {
    run([&] {
      auto [ours, peer] = unix_pair();
      system_calls().at_most = 1;
      const std::string data = pattern(200);
      auto writer = co_spawn_writer(ours, data);
      one_turn();
      ASSERT_FALSE(writer.done());
      cancel ? writer.request_cancel() : ours.close();
      writer.join();
      system_calls().at_most = 0;

      EXPECT_EQ(writer.result().ec, cancel ? errc::cancelled : errc::closed);
      EXPECT_LT(writer.result().count, 200u);
      EXPECT_EQ(arrived_at(peer).size(), writer.result().count);
    });
  }
}

TEST_F(CoBudget, of_an_acceptor_and_a_connector_that_never_wait_ends_after_some_connections) {
  run([&] {
    const scratch_folder folder;
    net::listener listening{endpoint::unix_domain(folder.path("socket"))};
    const endpoint address = listening.local_endpoint();
    std::vector<socket> clients;

    EXPECT_GE(turns_beside([&]() -> co::task<> {
                for (int i = 0; i < 200; ++i) {
                  clients.push_back(co_await socket::co_connect(address));
                }
              }),
              200u / 64);
    EXPECT_GE(turns_beside_repeated(200, [&] { return listening.co_accept(); }), 200u / 64);
  });
}

TEST_F(CoBudget, of_a_task_that_sends_and_receives_datagrams_without_waiting_ends) {
  run([&] {
    net::datagram_socket left{endpoint::loopback_v4(0)};
    net::datagram_socket right{endpoint::loopback_v4(0)};
    left.connect(right.local_endpoint());

    EXPECT_GE(turns_beside([&]() -> co::task<> {
                std::array<std::byte, 10> buffer;
                for (int i = 0; i < calls / 2; ++i) {
                  co_await left.co_send(bytes_of("x"));
                  co_await right.co_receive(buffer);
                }
              }),
              turns_at_least);
  });
}

TEST_F(CoBudget, of_a_reader_of_lines_that_are_all_there_ends_after_some) {
  run([&] {
    auto [left, right] = weft_unix_pair();
    net::stream ours{std::move(left)};
    right.write(std::string(calls, '\n'));

    EXPECT_GE(turns_beside_repeated(calls, [&] { return ours.co_read_line(); }), turns_at_least);
  });
}

}  // namespace
}  // namespace weft::test
