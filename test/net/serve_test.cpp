// The accept loop of a server: a fiber a connection, what exceptions cost, and the orderly end.
#include <array>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net_fixture.hpp"

namespace weft::test {
namespace {

using namespace std::chrono_literals;
using net::endpoint;
using net::listener;
using net::serve;
using net::serve_options;
using net::socket;

void echo(socket& connection) {
  while (const auto data = connection.read_some_borrowed()) connection.write(data);
}

class Serve : public runtime_test {
protected:
  // A server in a fiber of its own; ended by stop().
  struct running_server {
    explicit running_server(net::connection_handler handler, serve_options options = {}) {
      address = listening.local_endpoint();
      loop = spawn(
          [this, handler = std::move(handler), options] { serve(listening, handler, options); });
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

TEST_F(Serve, handles_every_connection_on_a_fiber_of_its_own) {
  run([] {
    running_server server{echo};
    std::vector<unique_fd> peers;
    for (int i = 0; i < 20; ++i) peers.push_back(server.connect());
    for (int round = 0; round < 3; ++round) {
      for (const auto& each : peers) EXPECT_EQ(there_and_back(each, "hello"), "hello");
    }
    peers.clear();
    server.stop();
  });
}

TEST_F(Serve, closes_a_connection_when_its_handler_has_returned) {
  run([] {
    running_server server{[](socket& connection) { connection.write("bye"); }};
    const unique_fd peer = server.connect();

    EXPECT_EQ(await_end(peer), "bye");
    server.stop();
  });
}

// ---- exceptions ------------------------------------------------------------------------------

TEST_F(Serve, says_nothing_of_a_peer_that_is_gone) {
  for (const std::error_code code :
       {make_error_code(errc::eof), make_error_code(errc::cancelled), make_error_code(errc::closed),
        make_error_code(errc::timed_out), std::make_error_code(std::errc::connection_reset),
        std::make_error_code(std::errc::broken_pipe),
        std::make_error_code(std::errc::connection_aborted),
        std::error_code{ECONNRESET, std::system_category()},
        std::error_code{EPIPE, std::system_category()}}) {
    run([&] {
      running_server server{[&](socket&) { throw std::system_error(code); }};
      EXPECT_EQ(await_end(server.connect()), "");
      server.stop();
    });
    EXPECT_TRUE(take_diagnostics().empty()) << code.message();
  }
}

TEST_F(Serve, says_in_one_line_which_connection_another_exception_ended) {
  run([&] {
    running_server server{[](socket&) { throw std::runtime_error("out of order"); }};
    const unique_fd peer = server.connect();
    const std::string name = "127.0.0.1:" + std::to_string(local_port(peer));
    EXPECT_EQ(await_end(peer), "");
    expect_one_line(take_diagnostics(), {name, "out of order"});
    server.stop();
  });
}

TEST_F(Serve, says_in_one_line_which_system_error_ended_a_connection) {
  run([&] {
    running_server server{[](socket&) {
      throw std::system_error(std::make_error_code(std::errc::no_space_on_device), "log");
    }};
    EXPECT_EQ(await_end(server.connect()), "");
    expect_one_line(take_diagnostics(), {"127.0.0.1:", "log", "No space left"});
    server.stop();
  });
}

TEST_F(Serve, says_in_one_line_that_something_ended_a_connection_that_is_no_exception) {
  run([&] {
    running_server server{[](socket&) { throw 42; }};
    EXPECT_EQ(await_end(server.connect()), "");
    expect_one_line(take_diagnostics(), {"exception"});
    server.stop();
  });
}

TEST_F(Serve, goes_on_after_exceptions) {
  run([&] {
    int calls = 0;
    running_server server{[&](socket& connection) {
      if (++calls % 2 == 1) throw std::runtime_error("every other one");
      echo(connection);
    }};
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(await_end(server.connect()), "");
      EXPECT_EQ(there_and_back(server.connect(), "still here"), "still here");
    }
    server.stop();
  });
  EXPECT_EQ(take_diagnostics().size(), 5u);
}

// ---- the end ---------------------------------------------------------------------------------

TEST_F(Serve, stops_accepting_at_once_and_lets_connections_in_flight_finish) {
  run([] {
    running_server server{echo, {.drain = 1h}};
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

TEST_F(Serve, cancels_the_connections_that_are_left_after_the_drain) {
  run([] {
    std::error_code seen;
    running_server server{[&](socket& connection) {
                            std::array<std::byte, 1> buffer;
                            connection.read_some(buffer, seen);
                          },
                          {.drain = 1ms}};
    const unique_fd peer = server.connect();
    give_way_until([&] { return live_fibers() == 2; });
    server.stop();

    EXPECT_EQ(seen, errc::cancelled);
    EXPECT_EQ(await_end(peer), "");
  });
}

TEST_F(Serve, cancels_at_once_without_a_drain_and_waits_for_handlers_that_take_their_time) {
  for (const weft::any_duration drain : {std::chrono::nanoseconds{0}, std::chrono::nanoseconds{-1h},
                                         std::chrono::nanoseconds::min()}) {
    run([&] {
      bool cleaned_up = false;
      running_server server{[&](socket& connection) {
                              std::error_code ec;
                              std::array<std::byte, 1> buffer;
                              connection.read_some(buffer, ec);
                              for (int i = 0; i < 100; ++i) one_turn();
                              cleaned_up = true;
                            },
                            {.drain = drain}};
      const unique_fd peer = server.connect();
      give_way_until([&] { return live_fibers() == 2; });
      server.stop();

      EXPECT_TRUE(cleaned_up);
    });
  }
}

TEST_F(Serve, drains_without_a_limit_for_the_longest_time_there_is) {
  run([] {
    running_server server{echo, {.drain = std::chrono::seconds::max()}};
    unique_fd peer = server.connect();
    ASSERT_EQ(there_and_back(peer, "before"), "before");
    server.loop.request_cancel();
    one_turn();

    EXPECT_EQ(there_and_back(peer, "after"), "after");
    EXPECT_FALSE(server.loop.done());
    peer.reset();
    server.loop.join();
  });
}

TEST_F(Serve, ends_when_the_listener_is_closed) {
  run([] {
    running_server server{echo};
    unique_fd peer = server.connect();
    ASSERT_EQ(there_and_back(peer, "x"), "x");
    server.listening.close();
    peer.reset();
    server.loop.join();

    server.loop.result();
    EXPECT_FALSE(server.listening.is_open());
  });
}

TEST_F(Serve, returns_at_once_for_a_listener_that_is_closed) {
  run([] {
    listener nothing;
    serve(nothing, echo);
  });
}

TEST_F(Serve, may_be_ended_by_one_of_its_own_connections) {
  run([] {
    listener listening{endpoint::loopback_v4(0)};
    const unique_fd peer = connect_tcp(listening.local_endpoint().port());
    serve(listening, [&](socket& connection) {
      connection.write("the last one");
      listening.close();
    });

    EXPECT_EQ(recv_until_end(peer), "the last one");
  });
}

TEST_F(Serve, with_nothing_to_do_ends_with_its_runtime) {
  run([] {
    running_server server{echo};
    server.stop();
  });
  runtime worker;
  worker.run([] {
    auto listening = std::make_shared<listener>(endpoint::loopback_v4(0));
    spawn([listening] { serve(*listening, echo); }).detach();
    one_turn();
  });
}

// ---- shortage and faults ---------------------------------------------------------------------

std::size_t address_space_in_use() {
  std::size_t pages = 0;
  std::ifstream{"/proc/self/statm"} >> pages;
  return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

TEST_F(Serve, goes_on_when_there_is_no_stack_for_a_connection) {
  run([&] {
    constexpr std::size_t huge = std::size_t{1} << 30;
    running_server server{echo, {.stack_size = huge}};
    rlimit former{};
    ASSERT_EQ(::getrlimit(RLIMIT_AS, &former), 0);
    rlimit tight = former;
    tight.rlim_cur = address_space_in_use() + huge / 2;
    ASSERT_EQ(::setrlimit(RLIMIT_AS, &tight), 0);
    const std::string refused = await_end(server.connect());
    ::setrlimit(RLIMIT_AS, &former);

    EXPECT_EQ(refused, "");
    expect_one_line(take_diagnostics(), {"serve", "no fiber"});
    EXPECT_EQ(there_and_back(server.connect(), "there is one again"), "there is one again");
    server.stop();
  });
}

TEST_F(Serve, loses_nothing_but_their_fibers_by_peers_that_vanish) {
  run([] {
    running_server server{echo};
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
    server.stop();
  });
}

TEST_F(Serve, gives_all_its_descriptors_back_after_many_short_connections) {
  run([] {
    running_server server{echo};
    const auto before = testing::open_descriptors().size();
    for (int i = 0; i < 500; ++i) {
      unique_fd peer = server.connect();
      if (i % 2 == 0) there_and_back(peer, "x");
      if (i % 5 == 0) reset_by(peer);
    }
    give_way_until([] { return live_fibers() == 1; });

    EXPECT_LE(testing::open_descriptors().size(), before + 2);  // the poller's
    server.stop();
  });
}

}  // namespace
}  // namespace weft::test
