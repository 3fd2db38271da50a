// A fiber whose operations succeed without ever parking still lets the others run.
#include <array>
#include <sys/socket.h>

#include "net_fixture.hpp"
#include "system_calls.hpp"

namespace weft::test {
namespace {

using net::endpoint;
using net::socket;

class Budget : public watched_calls_test {
protected:
  // Runs `busy`, which makes `calls` system calls that all succeed at once, beside a fiber that is
  // always ready. Returns how many turns that one had.
  template <class Busy>
  std::size_t turns_beside(Busy&& busy) {
    bool done = false;
    std::size_t turns = 0;
    auto other = spawn([&] {
      while (!done) {  // NOLINT(bugprone-infinite-loop): ended from outside
        ++turns;
        one_turn();
      }
    });
    busy();
    done = true;
    other.join();
    return turns;
  }
};

constexpr int calls = 1'000;
// One turn after 64 calls, and one at the end.
constexpr std::size_t turns_at_least = calls / 64;

TEST_F(Budget, of_a_reader_that_never_parks_ends_after_some_reads) {
  run([&] {
    auto [ours, peer] = unix_pair();
    send_all(peer, pattern(calls));

    EXPECT_GE(turns_beside([&, &s = ours] {
                for (int i = 0; i < calls; ++i) read_some_text(s, 1);
              }),
              turns_at_least);
  });
}

TEST_F(Budget, of_a_borrowing_reader_that_never_parks_ends_after_some_reads) {
  run([&] {
    auto [ours, peer] = unix_pair();
    send_all(peer, pattern(calls));

    EXPECT_GE(turns_beside([&, &s = ours] {
                for (int i = 0; i < calls; ++i) s.read_some_borrowed(1);
              }),
              turns_at_least);
  });
}

TEST_F(Budget, of_calls_that_fail_ends_too) {
  run([&] {
    const endpoint nobody = endpoint::loopback_v4(local_port(unique_fd{listen_tcp()}));
    auto [ours, peer] = tcp_pair();
    socket closed;
    net::datagram_socket datagrams{endpoint::loopback_v4(0)};
    std::error_code ec;
    std::array<std::byte, 8> buffer;
    const auto repeated = [](auto&& call) {
      return [&call] {
        for (int i = 0; i < calls; ++i) call();
      };
    };

    EXPECT_GE(turns_beside(repeated([&] { closed.read_some(buffer, ec); })), turns_at_least);
    EXPECT_GE(turns_beside(repeated([&] { closed.write("", ec); })), turns_at_least);
    EXPECT_GE(turns_beside(repeated([&] { socket::connect(nobody, ec); })), turns_at_least);
    EXPECT_GE(turns_beside(repeated([&] { datagrams.send({}, ec); })), turns_at_least);
    EXPECT_EQ(ec, std::errc::destination_address_required);
  });
}

TEST_F(Budget, of_a_writer_that_never_parks_ends_after_some_writes) {
  run([&] {
    auto [ours, peer] = tcp_pair();
    EXPECT_GE(turns_beside([&, &s = ours] {
                for (int i = 0; i < calls; ++i) s.write("x");
              }),
              turns_at_least);
    EXPECT_EQ(recv_all(peer, calls).size(), static_cast<std::size_t>(calls));
  });
}

// The peer is faster: there is always more to read, however long the buffer.
TEST_F(Budget, ends_within_a_single_long_read) {
  run([&] {
    auto [ours, peer] = unix_pair();
    send_all(peer, pattern(calls));
    system_calls().at_most = 1;
    std::string got;

    EXPECT_GE(turns_beside([&, &s = ours] { got = read_text(s, calls); }), turns_at_least);
    EXPECT_EQ(got, pattern(calls));
  });
}

TEST_F(Budget, ends_within_a_single_long_write) {
  run([&] {
    auto [ours, peer] = unix_pair();
    system_calls().at_most = 1;

    EXPECT_GE(turns_beside([&, &s = ours] { s.write(pattern(200)); }), 200u / 64);
    system_calls().at_most = 0;
    EXPECT_EQ(recv_all(peer, 200), pattern(200));
  });
}

TEST_F(Budget, of_a_long_write_ends_and_the_socket_may_then_be_closed_or_the_writer_cancelled) {
  for (const bool cancel : {true, false}) {
    run([&] {
      auto [ours, peer] = unix_pair();
      system_calls().at_most = 1;
      std::error_code ec;
      auto writer = spawn([&, &s = ours] { return s.write(pattern(200), ec); });
      one_turn();
      ASSERT_FALSE(writer.done());
      cancel ? writer.request_cancel() : ours.close();
      writer.join();
      system_calls().at_most = 0;

      EXPECT_EQ(ec, cancel ? errc::cancelled : errc::closed);
      EXPECT_LT(writer.result(), 200u);
      EXPECT_EQ(arrived_at(peer).size(), writer.result());
    });
  }
}

TEST_F(Budget, of_an_acceptor_that_never_parks_ends_after_some_connections) {
  run([&] {
    const scratch_folder folder;
    net::listener listening{endpoint::unix_domain(folder.path("socket"))};
    std::vector<unique_fd> clients;
    const endpoint address = listening.local_endpoint();
    for (int i = 0; i < 200; ++i) {
      clients.emplace_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
      ASSERT_EQ(::connect(clients.back().get(), address.native(), address.native_size()), 0);
    }

    EXPECT_GE(turns_beside([&] {
                for (int i = 0; i < 200; ++i) listening.accept();
              }),
              200u / 64);
  });
}

TEST_F(Budget, of_a_connector_that_never_parks_ends_after_some_connections) {
  run([&] {
    const scratch_folder folder;
    const net::listener listening{endpoint::unix_domain(folder.path("socket"))};
    const endpoint address = listening.local_endpoint();

    EXPECT_GE(turns_beside([&] {
                for (int i = 0; i < 200; ++i) (void)socket::connect(address);
              }),
              200u / 64);
  });
}

TEST_F(Budget, of_a_fiber_that_sends_and_receives_datagrams_without_parking_ends) {
  run([&] {
    net::datagram_socket left{endpoint::loopback_v4(0)};
    net::datagram_socket right{endpoint::loopback_v4(0)};
    left.connect(right.local_endpoint());
    std::array<std::byte, 10> buffer;

    EXPECT_GE(turns_beside([&] {
                for (int i = 0; i < calls / 2; ++i) {
                  left.send(bytes_of("x"));
                  right.receive(buffer);
                }
              }),
              turns_at_least);
  });
}

TEST_F(Budget, of_a_fiber_that_reads_the_end_of_a_stream_again_and_again_ends) {
  run([&] {
    auto [ours, peer] = tcp_pair();
    peer.reset();
    std::error_code ec;

    EXPECT_GE(turns_beside([&, &s = ours] {
                for (int i = 0; i < calls; ++i) read_some_text(s, 1, ec);
              }),
              turns_at_least);
  });
}

// Each attempt makes an event that the sender's own buffer is free again.
TEST_F(Budget, of_a_sender_that_waits_for_a_full_unix_queue_is_not_spent_on_attempts) {
  for (const bool connected : {false, true}) {
    run([&] {
      const scratch_folder folder;
      net::datagram_socket receiver{endpoint::unix_domain(folder.path("receiver"))};
      const endpoint to = receiver.local_endpoint();
      net::datagram_socket filler{endpoint::unix_domain(folder.path("filler"))};
      net::datagram_socket sender{endpoint::unix_domain(folder.path("sender"))};
      if (connected) sender.connect(to);
      std::array<std::byte, 10> buffer;
      std::error_code ec;
      auto reader = spawn([&] { sender.receive(buffer, ec); });
      bool full = false;
      auto filling = spawn([&] {
        std::error_code ignored;
        while (!ignored) filler.send_to(bytes_of("x"), to, ignored);
      });
      auto sending = spawn([&] {
        give_way_until([&] { return full; });
        connected ? sender.send(bytes_of("at last")) : sender.send_to(bytes_of("at last"), to);
      });
      one_turn();  // the reader has registered the socket, and the filler waits
      full = true;
      one_turn();
      system_calls().sendto_calls = 0;
      auto [left, right] = weft_unix_pair();
      auto echo = spawn([&s = right] {
        while (const auto data = s.read_some_borrowed()) s.write(data);
      });
      for (int i = 0; i < calls; ++i) {
        left.write("x");
        read_some_text(left);  // parks, so that there are polls
      }
      left.shutdown();
      echo.join();

      EXPECT_FALSE(sending.done());
      EXPECT_LT(system_calls().sendto_calls, static_cast<std::size_t>(calls) / 4);
      filling.request_cancel();
      filling.join();
      while (!sending.done()) receiver.receive(buffer);
      reader.request_cancel();
      reader.join();
    });
  }
}

}  // namespace
}  // namespace weft::test
