// A listener whose accept(2) fails: it says so once, backs off, and forgets no connection.
#include <array>
#include <cerrno>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net_fixture.hpp"
#include "system_calls.hpp"

namespace weft::test {
namespace {

using net::endpoint;
using net::listener;
using net::socket;

class AcceptTrouble : public watched_calls_test {};

// A worker whose poller has the descriptors that it needs, and some connections in the queue of a
// listener.
struct queue_of_connections {
  explicit queue_of_connections(std::size_t size) {
    system_calls() = {};
    for (std::size_t i = 0; i < size; ++i) {
      clients.push_back(connect_tcp(listening.local_endpoint().port()));
    }
    auto parked = spawn([] {
      std::error_code ec;
      auto [ours, peer] = tcp_pair();
      read_some_text(ours, 1, ec);
    });
    one_turn();
    parked.request_cancel();
    parked.join();
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
  return spawn([&listening, size] {
    std::vector<socket> accepted;
    while (accepted.size() < size) accepted.push_back(listening.accept());
    return accepted.size();
  });
}

TEST_F(AcceptTrouble, without_descriptors_is_told_in_one_line_that_names_the_limit) {
  run([&] {
    queue_of_connections queue{10};
    use_up_descriptors();
    rlimit now{};
    ::getrlimit(RLIMIT_NOFILE, &now);
    auto server = spawn_server(queue.listening, 10);
    give_way_until([] { return system_calls().accept4_calls >= 3; });  // on the timer alone
    EXPECT_FALSE(server.done());
    expect_one_line(take_diagnostics(),
                    {"accept", "Too many open files", std::to_string(now.rlim_cur), "ulimit -n"});
    allow_descriptors();
    server.join();

    EXPECT_EQ(server.result(), 10u);
  });
}

TEST_F(AcceptTrouble, without_descriptors_ends_as_soon_as_one_is_closed) {
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

TEST_F(AcceptTrouble, without_descriptors_ends_by_the_timer_when_others_close_theirs) {
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

TEST_F(AcceptTrouble, without_descriptors_serves_every_connection_one_at_a_time) {
  run([&] {
    queue_of_connections queue{50};
    unique_fd foreign{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    use_up_descriptors();
    foreign.reset();  // leaves one number, which goes from connection to connection
    std::size_t served = 0;
    std::vector<fiber<>> connections;
    while (connections.size() < 50) {
      connections.push_back(spawn([&, accepted = queue.listening.accept()]() mutable {
        accepted.write("served");
        one_turn();
        accepted.close();
        ++served;
      }));
    }
    for (auto& each : connections) each.join();

    EXPECT_EQ(served, 50u);
    for (const auto& each : queue.clients) EXPECT_EQ(recv_until_end(each), "served");
    allow_descriptors();
    expect_one_line(take_diagnostics(), {"accept"});
  });
}

// Or a server with many connections in its queue would accept as many as there are descriptors, and
// could then read from none of them.
TEST_F(AcceptTrouble, leaves_the_descriptors_to_the_poller_that_waiting_for_connections_needs) {
  run([] {
    listener listening{endpoint::loopback_v4(0)};
    const unique_fd client = connect_tcp(listening.local_endpoint().port());
    const int lowest_free = ::dup(STDIN_FILENO);
    ::close(lowest_free);

    const socket accepted = listening.accept();

    EXPECT_GT(accepted.native_handle(), lowest_free);
  });
}

TEST_F(AcceptTrouble, of_the_whole_system_is_told_and_passes) {
  run([&] {
    queue_of_connections queue{3};
    int failures = 3;
    system_calls().instead_of_accept4 = [&] { return failures-- > 0 ? ENFILE : 0; };
    auto server = spawn_server(queue.listening, 3);
    server.join();

    EXPECT_EQ(server.result(), 3u);
    expect_one_line(take_diagnostics(), {"accept", "file-max"});
  });
}

TEST_F(AcceptTrouble, of_a_lost_connection_concerns_no_other) {
  for (const int error : {ECONNABORTED, EPROTO, ENETDOWN, EHOSTUNREACH, ETIMEDOUT, EPERM}) {
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

TEST_F(AcceptTrouble, of_memory_passes) {
  for (const int error : {ENOMEM, ENOBUFS}) {
    run([&] {
      queue_of_connections queue{2};
      int failures = 1;
      system_calls().instead_of_accept4 = [&] { return failures-- > 0 ? error : 0; };
      auto server = spawn_server(queue.listening, 2);
      server.join();

      EXPECT_EQ(server.result(), 2u);
      expect_one_line(take_diagnostics(), {"accept"});
    });
  }
}

TEST_F(AcceptTrouble, an_interrupted_accept_is_repeated_at_once_and_without_a_word) {
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

TEST_F(AcceptTrouble, that_does_not_pass_is_an_error) {
  run([] {
    queue_of_connections queue{1};
    system_calls().instead_of_accept4 = [] { return EINVAL; };
    std::error_code ec;

    EXPECT_FALSE(queue.listening.accept(ec).is_open());
    EXPECT_EQ(ec, std::errc::invalid_argument);
    EXPECT_EQ(system_calls().accept4_calls, 1u);
  });
}

TEST_F(AcceptTrouble, ends_with_errc_closed_when_the_listener_is_closed_during_the_back_off) {
  run([&] {
    queue_of_connections queue{1};
    system_calls().instead_of_accept4 = [] { return EMFILE; };
    std::error_code ec;
    auto server = spawn([&] { EXPECT_FALSE(queue.listening.accept(ec).is_open()); });
    one_turn();
    ASSERT_FALSE(server.done());
    queue.listening.close();
    one_turn();

    EXPECT_TRUE(server.done());
    EXPECT_EQ(ec, errc::closed);
    EXPECT_EQ(system_calls().accept4_calls, 1u);
    expect_one_line(take_diagnostics(), {"accept"});
  });
}

TEST_F(AcceptTrouble, ends_with_errc_cancelled_when_the_fiber_is_cancelled_during_the_back_off) {
  run([&] {
    queue_of_connections queue{1};
    system_calls().instead_of_accept4 = [] { return EMFILE; };
    std::error_code ec;
    auto server = spawn([&] { EXPECT_FALSE(queue.listening.accept(ec).is_open()); });
    one_turn();
    server.request_cancel();
    one_turn();

    EXPECT_TRUE(server.done());
    EXPECT_EQ(ec, errc::cancelled);
    system_calls().instead_of_accept4 = nullptr;
    EXPECT_TRUE(queue.listening.accept().is_open());
    expect_one_line(take_diagnostics(), {"accept"});
  });
}

TEST_F(AcceptTrouble, takes_no_connection_when_it_was_woken_and_then_cancelled) {
  run([&] {
    queue_of_connections queue{1};
    socket other = weft_unix_pair().left;
    system_calls().instead_of_accept4 = [] { return EMFILE; };
    std::error_code ec;
    auto server = spawn([&] { EXPECT_FALSE(queue.listening.accept(ec).is_open()); });
    one_turn();
    ASSERT_FALSE(server.done());
    system_calls().instead_of_accept4 = nullptr;
    other.close();  // wakes it
    server.request_cancel();
    server.join();

    EXPECT_EQ(ec, errc::cancelled);
    EXPECT_TRUE(queue.listening.accept().is_open());
    expect_one_line(take_diagnostics(), {"accept"});
  });
}

TEST_F(AcceptTrouble, of_many_listeners_at_once_is_told_once_and_each_of_them_goes_on) {
  run([&] {
    queue_of_connections first{2};
    queue_of_connections second{2};
    bool short_of_descriptors = true;
    system_calls().instead_of_accept4 = [&] { return short_of_descriptors ? EMFILE : 0; };
    auto first_server = spawn_server(first.listening, 2);
    auto second_server = spawn_server(second.listening, 2);
    give_way_until([] { return system_calls().accept4_calls >= 6; });
    short_of_descriptors = false;
    first_server.join();
    second_server.join();

    EXPECT_EQ(first_server.result() + second_server.result(), 4u);
    expect_one_line(take_diagnostics(), {"accept"});
  });
}

TEST_F(AcceptTrouble, does_not_keep_other_fibers_from_running) {
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

TEST_F(AcceptTrouble, is_survived_by_serve) {
  run([&] {
    queue_of_connections queue{20};
    int calls = 0;
    system_calls().instead_of_accept4 = [&] {
      constexpr std::array errors{EMFILE, 0, ECONNABORTED, 0};
      return errors[static_cast<std::size_t>(calls++) % errors.size()];
    };
    std::size_t served = 0;
    auto server = spawn([&] { net::serve(queue.listening, [&](socket&) { ++served; }); });
    give_way_until([&] { return served == 20; });
    server.request_cancel();
    server.join();
    server.result();
  });
  EXPECT_FALSE(take_diagnostics().empty());
}

}  // namespace
}  // namespace weft::test
