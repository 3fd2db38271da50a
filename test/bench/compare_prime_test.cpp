// The first exchange with a server: it ends in time, whatever the server does.
#include <chrono>
#include <csignal>
#include <string>
#include <system_error>
#include <thread>

#include <gtest/gtest.h>

#include "prime.hpp"
#include "support/tcp.hpp"

namespace weft::compare {
namespace {

using namespace std::chrono_literals;
using test::unique_fd;

struct ComparePrime : testing::Test {
  // Accepts nothing by itself; the kernel completes the connections nevertheless.
  const unique_fd listener = test::listen_tcp();
  const std::string address = "127.0.0.1:" + std::to_string(test::local_port(listener));
  const steady::time_point late = steady::now() + 60s;  // ends a test that hangs
  interrupt signals;

  std::error_code exchange(steady::time_point deadline) {
    try {
      exchange_once(address, deadline, signals);
      return {};
    } catch (const std::system_error& error) {
      EXPECT_NE(std::string{error.what()}.find(address), std::string::npos) << error.what();
      return error.code();
    }
  }

  // Answers one message with `reply` and closes.
  std::thread answer(std::string reply) {
    return std::thread{[this, reply = std::move(reply)] {
      const unique_fd peer = test::accept_one(listener);
      const std::string message = test::recv_all(peer, 64);
      test::send_all(peer, reply.empty() ? message : reply);
    }};
  }
};

TEST_F(ComparePrime, ends_well_with_a_server_that_echoes) {
  std::thread server = answer("");

  EXPECT_FALSE(exchange(late));

  server.join();
}

TEST_F(ComparePrime, does_not_wait_for_a_silent_server_after_the_deadline) {
  EXPECT_EQ(exchange(steady::now()), std::errc::timed_out);
  EXPECT_EQ(exchange(steady::now() + 1ms), std::errc::timed_out);
}

TEST_F(ComparePrime, ends_when_a_signal_comes) {
  ASSERT_EQ(std::raise(SIGINT), 0);

  EXPECT_THROW(exchange_once(address, late, signals), interrupted);
  EXPECT_EQ(signals.signal(), SIGINT);
}

TEST_F(ComparePrime, tells_a_wrong_reply_from_a_short_one) {
  std::thread wrong = answer(std::string(64, 'x'));
  EXPECT_EQ(exchange(late), std::errc::protocol_error);
  wrong.join();

  std::thread brief = answer("first");
  EXPECT_EQ(exchange(late), std::errc::connection_reset);
  brief.join();
}

TEST_F(ComparePrime, tells_that_nobody_listens) {
  unique_fd holder;
  const std::string nobody = "127.0.0.1:" + std::to_string(test::refused_port(holder));

  EXPECT_THROW(exchange_once(nobody, late, signals), std::system_error);
}

}  // namespace
}  // namespace weft::compare
