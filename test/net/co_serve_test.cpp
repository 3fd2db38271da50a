// The accept loop of a server made of coroutines: a task a connection, what exceptions cost, and
// the orderly end.
#include <array>
#include <cerrno>
#include <chrono>
#include <stdexcept>
#include <sys/socket.h>

#include "coroutines.hpp"

namespace weft::test {
namespace {

using namespace std::chrono_literals;
using net::co_serve;
using net::endpoint;
using net::listener;
using net::serve_options;
using net::socket;

co::task<> co_echo(socket& connection) {
  while (const auto data = co_await connection.co_read_some_borrowed()) {
    co_await connection.co_write(data);
  }
}

class CoServe : public runtime_test {
protected:
  // A server in a task of its own; ended by stop().
  struct running_server {
    explicit running_server(net::co_connection_handler handler, serve_options options = {}) {
      address = listening.local_endpoint();
      loop = co::spawn(co_serve(listening, std::move(handler), options));
      one_turn();
    }

    unique_fd connect() const { return connect_tcp(address.port()); }

    void stop() {
      loop.request_cancel();
      loop.join();
      loop.result();
    }

    listener listening{endpoint::loopback_v4(0)};
    endpoint address;
    fiber<> loop;
  };
};

// Gives way until the peer's stream has ended, so that the server can run. Returns what came.
std::string await_end(const unique_fd& peer) {
  std::string all;
  char buffer[256];
  for (;;) {
    const ssize_t count = ::recv(peer.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (count == 0 || (count < 0 && errno != EAGAIN)) return all;
    if (count > 0) all.append(buffer, static_cast<std::size_t>(count));
    one_turn();
  }
}

std::string there_and_back(const unique_fd& peer, std::string_view text) {
  send_all(peer, text);
  std::string all;
  while (all.size() < text.size()) {
    all += arrived_at(peer);
    one_turn();
  }
  return all;
}

TEST_F(CoServe, handles_every_connection_in_a_task_of_its_own) {
  run([] {
    running_server server{co_echo};
    std::vector<unique_fd> peers;
    for (int i = 0; i < 20; ++i) peers.push_back(server.connect());
    for (int round = 0; round < 3; ++round) {
      for (const auto& each : peers) EXPECT_EQ(there_and_back(each, "hello"), "hello");
    }
    peers.clear();
    server.stop();
  });
}

TEST_F(CoServe, closes_a_connection_when_its_handler_has_ended) {
  run([] {
    running_server server{
        [](socket& connection) -> co::task<> { co_await connection.co_write("bye"); }};
    const unique_fd peer = server.connect();

    EXPECT_EQ(await_end(peer), "bye");
    EXPECT_EQ(live_fibers(), 1u);
    server.stop();
  });
}

TEST_F(CoServe, tells_the_handler_who_the_peer_is) {
  run([] {
    listener listening{endpoint::loopback_v4(0)};
    endpoint seen;
    const unique_fd peer = connect_tcp(listening.local_endpoint().port());
    co::block_on(co_serve(listening, [&](socket&, const endpoint& from) -> co::task<> {
      seen = from;
      listening.close();
      co_return;
    }));

    EXPECT_EQ(seen, endpoint::loopback_v4(local_port(peer)));
  });
}

TEST_F(CoServe, keeps_the_handler_with_what_it_has_captured_until_the_last_connection_has_ended) {
  run([] {
    listener listening{endpoint::loopback_v4(0)};
    auto serving = co_serve(
        listening, [text = std::string(100, 'x'), &listening](socket& connection) -> co::task<> {
          listening.close();
          co_await co::yield();
          co_await connection.co_write(text);
        });
    const unique_fd peer = connect_tcp(listening.local_endpoint().port());
    co::block_on(std::move(serving));

    EXPECT_EQ(recv_until_end(peer), std::string(100, 'x'));
  });
}

// ---- exceptions ------------------------------------------------------------------------------

// Whether a handler is a coroutine that throws or a function that throws before it returns one.
class CoServeException : public CoServe, public ::testing::WithParamInterface<bool> {
protected:
  template <class Throw>
  static net::co_connection_handler handler_that(Throw fail) {
    if (GetParam()) {
      return [fail](socket&) -> co::task<> {
        fail();
        co_return;
      };
    }
    return [fail](socket& connection) {
      fail();
      return co_echo(connection);
    };
  }
};

TEST_P(CoServeException, that_says_that_the_peer_is_gone_is_not_told) {
  for (const std::error_code code :
       {make_error_code(errc::eof), make_error_code(errc::cancelled), make_error_code(errc::closed),
        make_error_code(errc::timed_out), std::error_code{ECONNRESET, std::system_category()},
        std::error_code{EPIPE, std::system_category()}}) {
    run([&] {
      running_server server{handler_that([code] { throw std::system_error(code); })};
      EXPECT_EQ(await_end(server.connect()), "");
      server.stop();
    });
    EXPECT_TRUE(take_diagnostics().empty()) << code.message();
  }
}

TEST_P(CoServeException, of_another_kind_is_told_in_one_line_that_names_the_connection) {
  run([&] {
    running_server server{handler_that([] { throw std::runtime_error("out of order"); })};
    const unique_fd peer = server.connect();
    const std::string name = "127.0.0.1:" + std::to_string(local_port(peer));
    EXPECT_EQ(await_end(peer), "");
    expect_one_line(take_diagnostics(), {name, "out of order"});
    server.stop();
  });
}

TEST_P(CoServeException, of_the_handler_that_knows_the_peer_names_it_too) {
  run([&] {
    listener listening{endpoint::loopback_v4(0)};
    const unique_fd peer = connect_tcp(listening.local_endpoint().port());
    const bool late = GetParam();
    auto server =
        co::spawn(co_serve(listening, [late](socket& connection, const endpoint&) -> co::task<> {
          if (!late) throw std::runtime_error("out of order");
          return [](socket&) -> co::task<> {
            throw std::runtime_error("out of order");
            co_return;
          }(connection);
        }));
    EXPECT_EQ(await_end(peer), "");
    expect_one_line(take_diagnostics(),
                    {"127.0.0.1:" + std::to_string(local_port(peer)), "out of order"});
    server.request_cancel();
    server.join();
  });
}

TEST_P(CoServeException, that_is_no_exception_is_told_in_one_line) {
  run([&] {
    running_server server{handler_that([] { throw 42; })};
    EXPECT_EQ(await_end(server.connect()), "");
    expect_one_line(take_diagnostics(), {"exception"});
    server.stop();
  });
}

TEST_P(CoServeException, leaves_the_server_to_the_next_connections) {
  run([&] {
    auto calls = std::make_shared<int>(0);
    running_server server{[&, calls](socket& connection) {
      if (++*calls % 2 == 0) return co_echo(connection);
      return handler_that([] { throw std::runtime_error("every other one"); })(connection);
    }};
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(await_end(server.connect()), "");
      EXPECT_EQ(there_and_back(server.connect(), "still here"), "still here");
    }
    server.stop();
  });
  EXPECT_EQ(take_diagnostics().size(), 5u);
}

INSTANTIATE_TEST_SUITE_P(Of, CoServeException, ::testing::Bool(),
                         [](const auto& of) { return of.param ? "the_coroutine" : "the_call"; });

// ---- the end ---------------------------------------------------------------------------------

TEST_F(CoServe, stops_accepting_at_once_and_lets_connections_in_flight_finish) {
  for (const weft::any_duration drain :
       {std::chrono::nanoseconds{1h}, std::chrono::nanoseconds{std::chrono::nanoseconds::max()}}) {
    run([&] {
      running_server server{co_echo, {.drain = drain}};
      unique_fd peer = server.connect();
      ASSERT_EQ(there_and_back(peer, "before"), "before");
      server.loop.request_cancel();
      one_turn();
      std::error_code ec;
      (void)socket::connect(server.address, ec);

      EXPECT_EQ(ec, std::errc::connection_refused);
      EXPECT_FALSE(server.loop.done());
      EXPECT_EQ(there_and_back(peer, "after"), "after");
      peer.reset();
      server.loop.join();
      server.loop.result();
    });
  }
}

TEST_F(CoServe, cancels_the_connections_that_are_left_after_the_drain_and_waits_for_them) {
  for (const weft::any_duration drain :
       {std::chrono::nanoseconds{1ms}, std::chrono::nanoseconds{0}, std::chrono::nanoseconds{-1h},
        std::chrono::nanoseconds::min()}) {
    run([&] {
      std::error_code seen;
      bool cleaned_up = false;
      running_server server{[&](socket& connection) -> co::task<> {
                              std::array<std::byte, 1> buffer;
                              co_await connection.co_read_some(buffer, seen);
                              for (int i = 0; i < 100; ++i) co_await co::yield();
                              cleaned_up = true;
                            },
                            {.drain = drain}};
      const unique_fd peer = server.connect();
      give_way_until([&] { return live_fibers() == 2; });
      server.stop();

      EXPECT_EQ(seen, errc::cancelled);
      EXPECT_TRUE(cleaned_up);
      EXPECT_EQ(await_end(peer), "");
    });
  }
}

TEST_F(CoServe, ends_when_the_listener_is_closed) {
  run([] {
    running_server server{co_echo};
    unique_fd peer = server.connect();
    ASSERT_EQ(there_and_back(peer, "x"), "x");
    server.listening.close();
    peer.reset();
    server.loop.join();

    server.loop.result();
    EXPECT_FALSE(server.listening.is_open());
  });
}

TEST_F(CoServe, returns_at_once_for_a_listener_that_is_closed) {
  run([] {
    listener nothing;
    co::block_on(co_serve(nothing, co_echo));
  });
}

TEST_F(CoServe, may_be_ended_by_one_of_its_own_connections) {
  run([] {
    listener listening{endpoint::loopback_v4(0)};
    const unique_fd peer = connect_tcp(listening.local_endpoint().port());
    co::block_on(co_serve(listening, [&](socket& connection) -> co::task<> {
      co_await connection.co_write("the last one");
      listening.close();
    }));

    EXPECT_EQ(recv_until_end(peer), "the last one");
  });
}

TEST_F(CoServe, ends_with_its_runtime) {
  runtime worker;
  worker.run([] {
    auto listening = std::make_shared<listener>(endpoint::loopback_v4(0));
    const unique_fd peer = connect_tcp(listening->local_endpoint().port());
    co::spawn([listening] { return co_serve(*listening, co_echo); }).detach();
    ASSERT_EQ(there_and_back(peer, "x"), "x");
  });
}

TEST_F(CoServe, loses_nothing_but_their_tasks_by_peers_that_vanish) {
  run([] {
    running_server server{co_echo};
    const auto before = testing::open_descriptors().size();
    const std::string message = pattern(2'000);
    std::vector<unique_fd> faithful;
    std::vector<unique_fd> vanishing;
    for (int i = 0; i < 100; ++i) {
      faithful.push_back(server.connect());
      vanishing.push_back(server.connect());
      send_all(vanishing.back(), std::string_view{message}.substr(0, 1'000));
      one_turn();
    }
    for (std::size_t i = 0; i < vanishing.size(); ++i) {
      if (i % 3 == 0) send_urgent(vanishing[i], '!');
      i % 4 == 0 ? vanishing[i].reset() : reset_by(vanishing[i]);
    }
    for (const auto& each : faithful) EXPECT_TRUE(there_and_back(each, message) == message);
    give_way_until([] { return live_fibers() == 101; });  // those and the loop
    faithful.clear();
    give_way_until([] { return live_fibers() == 1; });

    EXPECT_LE(testing::open_descriptors().size(), before + 2);  // the poller's
    server.stop();
  });
}

}  // namespace
}  // namespace weft::test
