// A listener on which coroutines wait and whose accept(2) fails: it says so once, backs off, and
// forgets no connection.
#include <array>
#include <cerrno>
#include <sys/socket.h>
#include <unistd.h>

#include "coroutines.hpp"
#include "system_calls.hpp"

namespace weft::test {
namespace {

using net::endpoint;
using net::listener;
using net::socket;

class CoAcceptTrouble : public watched_calls_test {};

// A worker whose poller has the descriptors that it needs, and some connections in the queue of a
// listener.
struct queue_of_connections {
  explicit queue_of_connections(std::size_t size) {
    system_calls() = {};
    for (std::size_t i = 0; i < size; ++i) {
      clients.push_back(connect_tcp(listening.local_endpoint().port()));
    }
    auto [ours, peer] = tcp_pair();
    auto waiting = co_spawn_reader(ours);
    one_turn();
    waiting.request_cancel();
    waiting.join();
    system_calls().accept4_calls = 0;
  }

  listener listening{endpoint::loopback_v4(0)};
  std::vector<unique_fd> clients;
};

// Has accept(2) find that no descriptor is left. For accept(2) only: the sanitizers need some, too.
void use_up_descriptors() {
  const int lowest_free = ::dup(STDIN_FILENO);
  ::close(lowest_free);
  system_calls().accept4_descriptor_limit = lowest_free;
}

void allow_descriptors() { system_calls().accept4_descriptor_limit = 0; }

// Accepts until `size` connections have come, and closes them only then.
auto spawn_server(listener& listening, std::size_t size) {
  return co::spawn([&listening, size]() -> co::task<std::size_t> {
    std::vector<socket> accepted;
    while (accepted.size() < size) accepted.push_back(co_await listening.co_accept());
    co_return accepted.size();
  });
}

// Accepts once and says how that ended.
auto spawn_acceptor(listener& listening) {
  return co::spawn([&listening]() -> co::task<std::error_code> {
    std::error_code ec;
    const socket accepted = co_await listening.co_accept(ec);
    EXPECT_EQ(accepted.is_open(), !ec);
    co_return ec;
  });
}

TEST_F(CoAcceptTrouble, without_descriptors_is_told_in_one_line_that_names_the_limit) {
  run([&] {
    queue_of_connections queue{10};
    use_up_descriptors();
    auto server = spawn_server(queue.listening, 10);
    give_way_until([] { return system_calls().accept4_calls >= 3; });  // on the timer alone
    EXPECT_FALSE(server.done());
    expect_one_line(take_diagnostics(), {"accept", "Too many open files", "ulimit -n"});
    allow_descriptors();
    server.join();

    EXPECT_EQ(server.result(), 10u);
  });
}

TEST_F(CoAcceptTrouble, without_descriptors_ends_as_soon_as_one_is_closed) {
  run([&] {
    queue_of_connections queue{1};
    auto [spare, spare_peer] = unix_pair();
    use_up_descriptors();
    auto server = spawn_server(queue.listening, 1);
    one_turn();
    ASSERT_EQ(system_calls().accept4_calls, 1u);
    spare.close();
    one_turn();

    EXPECT_EQ(system_calls().accept4_calls, 2u);
    EXPECT_TRUE(server.done());
    allow_descriptors();
    server.join();
    expect_one_line(take_diagnostics(), {"accept"});
  });
}

TEST_F(CoAcceptTrouble, without_descriptors_ends_by_the_timer_when_others_close_theirs) {
  run([&] {
    queue_of_connections queue{1};
    unique_fd foreign{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    use_up_descriptors();
    auto server = spawn_server(queue.listening, 1);
    one_turn();
    foreign.reset();  // not by us, so nobody tells the listener
    server.join();

    EXPECT_EQ(server.result(), 1u);
    allow_descriptors();
    expect_one_line(take_diagnostics(), {"accept"});
  });
}

TEST_F(CoAcceptTrouble, leaves_the_descriptors_to_the_poller_that_waiting_for_connections_needs) {
  run([] {
    listener listening{endpoint::loopback_v4(0)};
    const unique_fd client = connect_tcp(listening.local_endpoint().port());
    const int lowest_free = ::dup(STDIN_FILENO);
    ::close(lowest_free);

    const socket accepted = co::block_on(listening.co_accept());

    EXPECT_GT(accepted.native_handle(), lowest_free);
  });
}

TEST_F(CoAcceptTrouble, of_a_lost_connection_or_a_shortage_concerns_no_other) {
  for (const int error : {ECONNABORTED, EPROTO, EHOSTUNREACH, EPERM, ENOMEM, ENOBUFS, ENFILE}) {
    run([&] {
      queue_of_connections queue{3};
      int calls = 0;
      system_calls().instead_of_accept4 = [&] { return calls++ % 2 == 0 ? error : 0; };
      auto server = spawn_server(queue.listening, 3);
      server.join();

      EXPECT_EQ(server.result(), 3u);
      expect_one_line(take_diagnostics(), {"accept", std::system_category().message(error)});
    });
  }
}

TEST_F(CoAcceptTrouble, an_interrupted_accept_is_repeated_at_once_and_without_a_word) {
  run([] {
    queue_of_connections queue{1};
    int failures = 5;
    system_calls().instead_of_accept4 = [&] { return failures-- > 0 ? EINTR : 0; };
    auto server = spawn_server(queue.listening, 1);
    one_turn();

    EXPECT_TRUE(server.done());
    EXPECT_EQ(system_calls().accept4_calls, 6u);
  });
}

TEST_F(CoAcceptTrouble, that_does_not_pass_is_an_error) {
  run([] {
    queue_of_connections queue{1};
    system_calls().instead_of_accept4 = [] { return EINVAL; };
    auto acceptor = spawn_acceptor(queue.listening);
    acceptor.join();

    EXPECT_EQ(acceptor.result(), std::errc::invalid_argument);
    EXPECT_EQ(system_calls().accept4_calls, 1u);
  });
}

TEST_F(CoAcceptTrouble,
       ends_when_the_listener_is_closed_or_the_task_cancelled_during_the_back_off) {
  for (const bool cancel : {true, false}) {
    run([&] {
      queue_of_connections queue{1};
      system_calls().instead_of_accept4 = [] { return EMFILE; };
      auto acceptor = spawn_acceptor(queue.listening);
      auto next = spawn_acceptor(queue.listening);
      one_turn();
      ASSERT_FALSE(acceptor.done());
      system_calls().instead_of_accept4 = nullptr;
      cancel ? acceptor.request_cancel() : queue.listening.close();
      one_turn();

      EXPECT_TRUE(acceptor.done());
      EXPECT_EQ(acceptor.result(), cancel ? errc::cancelled : errc::closed);
      next.join();
      EXPECT_EQ(next.result(), cancel ? std::error_code{} : errc::closed);
      expect_one_line(take_diagnostics(), {"accept"});
    });
  }
}

TEST_F(CoAcceptTrouble, takes_no_connection_when_it_was_woken_and_then_cancelled) {
  run([&] {
    queue_of_connections queue{1};
    socket other = weft_unix_pair().left;
    system_calls().instead_of_accept4 = [] { return EMFILE; };
    auto acceptor = spawn_acceptor(queue.listening);
    one_turn();
    ASSERT_FALSE(acceptor.done());
    system_calls().instead_of_accept4 = nullptr;
    other.close();  // wakes it
    acceptor.request_cancel();
    acceptor.join();

    EXPECT_EQ(acceptor.result(), errc::cancelled);
    EXPECT_TRUE(queue.listening.accept().is_open());
    expect_one_line(take_diagnostics(), {"accept"});
  });
}

TEST_F(CoAcceptTrouble, does_not_keep_others_from_running) {
  run([&] {
    queue_of_connections queue{1};
    auto [left, right] = weft_unix_pair();
    bool short_of_descriptors = true;
    system_calls().instead_of_accept4 = [&] { return short_of_descriptors ? EMFILE : 0; };
    auto server = spawn_server(queue.listening, 1);
    for (int i = 0; i < 1'000; ++i) {
      left.write("x");
      ASSERT_EQ(read_some_text(right), "x");
    }
    // It has tried a few times, not once for every turn of the others.
    EXPECT_LT(system_calls().accept4_calls, 500u);
    short_of_descriptors = false;
    server.join();
    expect_one_line(take_diagnostics(), {"accept"});
  });
}

TEST_F(CoAcceptTrouble, is_survived_by_co_serve) {
  run([&] {
    queue_of_connections queue{20};
    int calls = 0;
    system_calls().instead_of_accept4 = [&] {
      constexpr std::array errors{EMFILE, 0, ECONNABORTED, 0};
      return errors[static_cast<std::size_t>(calls++) % errors.size()];
    };
    std::size_t served = 0;
    auto server = co::spawn(net::co_serve(queue.listening, [&](socket&) -> co::task<> {
      ++served;
      co_return;
    }));
    give_way_until([&] { return served == 20; });
    server.request_cancel();
    server.join();
    server.result();
  });
  EXPECT_FALSE(take_diagnostics().empty());
}

// An accept4(2) that says EAGAIN makes a socket first and throws it away.
TEST_F(CoAcceptTrouble, there_is_none_from_an_accept_of_what_is_not_there) {
  run([] {
    listener listening{endpoint::loopback_v4(0)};
    const auto port = listening.local_endpoint().port();
    std::size_t accepted = 0;
    auto server = co::spawn([&]() -> co::task<> {
      for (; accepted < 6; ++accepted) co_await listening.co_accept();
    });
    one_turn();
    std::vector<unique_fd> clients;
    for (const std::size_t count : {3u, 1u, 2u}) {
      const std::size_t goal = accepted + count;
      for (std::size_t i = 0; i < count; ++i) clients.push_back(connect_tcp(port));
      give_way_until([&] { return accepted == goal; });
      one_turn();  // in which it looks for another
    }
    server.join();

    EXPECT_EQ(system_calls().accept4_calls, 6u);
  });
}

}  // namespace
}  // namespace weft::test
