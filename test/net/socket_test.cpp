// Connecting, adopting, giving away and shutting down sockets, and their options.
#include <array>
#include <atomic>
#include <cerrno>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <new>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net_fixture.hpp"

namespace {

// While set, memory with an alignment of its own, as the records of descriptors have, is short.
std::atomic<bool> no_aligned_memory{false};

}  // namespace

void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  if (no_aligned_memory) return nullptr;
  try {
    return ::operator new(size, alignment);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

namespace weft::test {
namespace {

using net::endpoint;
using net::socket;

bool is_blocking(int fd) { return (::fcntl(fd, F_GETFL) & O_NONBLOCK) == 0; }

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

// ---- connect ---------------------------------------------------------------------------------

class Connect : public runtime_test {};

// A listener whose queue is full: a further connect(2) hangs, or for AF_UNIX is told EAGAIN.
struct full_listener {
  unique_fd listening;
  unique_fd queued;
  endpoint address;
};

full_listener full_tcp_listener() {
  full_listener made;
  made.listening = listen_tcp(0);
  made.address = endpoint::loopback_v4(local_port(made.listening));
  made.queued = connect_tcp(made.address.port());
  return made;
}

full_listener full_unix_listener(const std::string& path) {
  full_listener made;
  made.listening = listen_unix(path, 0);
  made.address = endpoint::unix_domain(path);
  made.queued = unique_fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  EXPECT_EQ(::connect(made.queued.get(), made.address.native(), made.address.native_size()), 0);
  return made;
}

TEST_F(Connect, reaches_listeners_of_each_family) {
  run([] {
    const scratch_folder folder;
    for (const endpoint& local :
         {endpoint::loopback_v4(0), endpoint::loopback_v6(0),
          endpoint::unix_domain(folder.path("socket")),
          endpoint::unix_domain("@weft-connect-test-" + std::to_string(::getpid()))}) {
      net::listener listening{local};
      const endpoint address = listening.local_endpoint();
      socket client = socket::connect(address);
      socket server = listening.accept();

      client.write("hi");
      EXPECT_EQ(read_text(server, 2), "hi") << local;
      EXPECT_EQ(client.remote_endpoint(), address);
      EXPECT_EQ(server.local_endpoint(), address);
      EXPECT_EQ(client.local_endpoint(), server.remote_endpoint());
    }
  });
}

TEST_F(Connect, is_refused_where_nobody_listens) {
  run([] {
    unique_fd holder;
    const endpoint address = endpoint::loopback_v4(refused_port(holder));
    std::error_code ec;
    const socket made = socket::connect(address, ec);

    EXPECT_EQ(ec, std::errc::connection_refused);
    EXPECT_FALSE(made);
    EXPECT_FALSE(made.is_open());
    EXPECT_EQ(made.native_handle(), -1);
  });
}

TEST_F(Connect, names_the_address_that_it_could_not_reach) {
  run([] {
    unique_fd holder;
    const endpoint address = endpoint::loopback_v4(refused_port(holder));
    try {
      (void)socket::connect(address);
      ADD_FAILURE() << "connected";
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code(), std::errc::connection_refused);
      EXPECT_NE(std::string(error.what()).find(address.to_string()), std::string::npos);
    }
  });
}

TEST_F(Connect, reports_a_socket_file_that_does_not_exist_or_is_of_another_type) {
  run([] {
    const scratch_folder folder;
    std::error_code ec;
    (void)socket::connect(endpoint::unix_domain(folder.path("nothing")), ec);
    EXPECT_EQ(ec, std::errc::no_such_file_or_directory);

    const auto datagrams = endpoint::unix_domain(folder.path("datagrams"));
    const net::datagram_socket bound{datagrams};
    (void)socket::connect(datagrams, ec);
    EXPECT_EQ(ec, std::errc::wrong_protocol_type);
  });
}

TEST_F(Connect, reports_an_address_family_that_is_none) {
  run([] {
    std::error_code ec;
    (void)socket::connect(endpoint{}, ec);

    EXPECT_EQ(ec, std::errc::address_family_not_supported);
  });
}

TEST_F(Connect, reports_that_descriptors_have_run_out) {
  run([] {
    const unique_fd listening = listen_tcp();
    std::error_code ec;
    no_more_descriptors limit;
    const endpoint there = endpoint::loopback_v4(local_port(listening));
    (void)socket::connect(there, ec);
    std::string said;
    try {
      (void)socket::connect(there);
    } catch (const std::system_error& error) {
      said = error.what();
    }
    limit.end();

    EXPECT_EQ(ec, std::errc::too_many_files_open);
    EXPECT_NE(said.find("ulimit -n"), std::string::npos) << said;
  });
}

TEST_F(Connect, waits_for_a_peer_that_is_slow_to_accept) {
  run([] {
    full_listener peer = full_tcp_listener();
    auto client = spawn([&] { return socket::connect(peer.address); });
    one_turn();
    EXPECT_FALSE(client.done());
    // The kernel repeats the SYN after a second.
    const unique_fd first = accept_one(peer.listening);
    client.join();

    EXPECT_TRUE(client.result().is_open());
  });
}

TEST_F(Connect, is_cancelled_while_in_progress_and_leaves_no_descriptor) {
  run([] {
    const full_listener peer = full_tcp_listener();
    auto client = spawn([&] {
      std::error_code ec;
      const socket made = socket::connect(peer.address, ec);
      EXPECT_FALSE(made.is_open());
      return ec;
    });
    one_turn();
    ASSERT_FALSE(client.done());
    client.request_cancel();
    client.join();

    EXPECT_EQ(client.result(), errc::cancelled);
  });
}

TEST_F(Connect, waits_for_room_in_the_backlog_of_a_unix_socket) {
  run([] {
    const scratch_folder folder;
    full_listener peer = full_unix_listener(folder.path("socket"));
    auto client = spawn([&] { return socket::connect(peer.address); });
    one_turn();
    EXPECT_FALSE(client.done());
    const unique_fd first = accept_one(peer.listening);
    client.join();
    const unique_fd second = accept_one(peer.listening);
    client.result().write("here");

    EXPECT_EQ(recv_all(second, 4), "here");
  });
}

TEST_F(Connect, is_cancelled_while_it_waits_for_room_in_the_backlog_of_a_unix_socket) {
  run([] {
    const scratch_folder folder;
    const full_listener peer = full_unix_listener(folder.path("socket"));
    auto client = spawn([&] {
      std::error_code ec;
      (void)socket::connect(peer.address, ec);
      return ec;
    });
    one_turn();
    client.request_cancel();
    client.join();

    EXPECT_EQ(client.result(), errc::cancelled);
  });
}

// ---- adopt -----------------------------------------------------------------------------------

class Adopt : public runtime_test {};

TEST_F(Adopt, makes_a_blocking_descriptor_non_blocking_and_waits_on_it) {
  run([] {
    std::array<int, 2> fds{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds.data()), 0);
    const unique_fd peer{fds[1]};
    ASSERT_TRUE(is_blocking(fds[0]));
    socket ours = socket::adopt(fds[0]);
    auto sender = spawn([&] { send_all(peer, "x"); });

    EXPECT_EQ(ours.native_handle(), fds[0]);
    EXPECT_FALSE(is_blocking(fds[0]));
    EXPECT_EQ(read_some_text(ours), "x");
  });
}

TEST_F(Adopt, refuses_what_is_no_descriptor_or_no_stream_socket_and_leaves_it_to_the_caller) {
  run([] {
    std::array<int, 2> pipe{};
    ASSERT_EQ(::pipe(pipe.data()), 0);
    const std::array<unique_fd, 4> wrong{
        unique_fd{pipe[0]}, unique_fd{pipe[1]},
        unique_fd{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)},
        unique_fd{::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)}};
    const std::array<std::errc, 4> why{std::errc::not_a_socket, std::errc::not_a_socket,
                                       std::errc::wrong_protocol_type,
                                       std::errc::wrong_protocol_type};
    for (std::size_t i = 0; i < wrong.size(); ++i) {
      std::error_code ec;
      const socket made = socket::adopt(wrong[i].get(), ec);

      EXPECT_EQ(ec, why[i]);
      EXPECT_FALSE(made.is_open());
      EXPECT_TRUE(is_open(wrong[i].get()));
      EXPECT_TRUE(is_blocking(wrong[i].get()));
    }
    EXPECT_THROW(socket::adopt(-1), std::system_error);
    std::error_code ec;
    (void)socket::adopt(-1, ec);
    EXPECT_EQ(ec, std::errc::bad_file_descriptor);
  });
}

TEST_F(Adopt, refuses_a_stream_where_datagrams_are_wanted) {
  run([] {
    const unique_fd stream{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    std::error_code ec;
    (void)net::datagram_socket::adopt(stream.get(), ec);

    EXPECT_EQ(ec, std::errc::wrong_protocol_type);
    EXPECT_TRUE(is_open(stream.get()));
  });
}

TEST_F(Adopt, leaves_the_descriptor_to_the_caller_when_memory_runs_out) {
  run([] {
    rlimit limit{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
    const rlimit former = limit;
    limit.rlim_cur = limit.rlim_max;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
    const unique_fd stream{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    // Its record lies where there is none yet.
    const unique_fd high{::fcntl(stream.get(), F_DUPFD_CLOEXEC, 3000)};
    ::setrlimit(RLIMIT_NOFILE, &former);
    if (!high) GTEST_SKIP() << "the hard limit on descriptors is too low";
    std::error_code ec;
    no_aligned_memory = true;
    const socket made = socket::adopt(high.get(), ec);
    no_aligned_memory = false;

    EXPECT_EQ(ec, std::errc::not_enough_memory);
    EXPECT_FALSE(made.is_open());
    EXPECT_TRUE(is_open(high.get()));
    EXPECT_TRUE(is_blocking(high.get()));
  });
}

// ---- release ---------------------------------------------------------------------------------

class Release : public runtime_test {};

TEST_F(Release, gives_the_descriptor_away_in_blocking_mode_for_plain_calls) {
  run([] {
    auto [ours, peer] = tcp_pair();
    ours.write("registered");
    const int fd = ours.native_handle();
    const unique_fd taken{ours.release()};

    EXPECT_EQ(taken.get(), fd);
    EXPECT_FALSE(ours.is_open());
    EXPECT_EQ(ours.native_handle(), -1);
    EXPECT_TRUE(is_blocking(fd));
    EXPECT_EQ(recv_all(peer, 10), "registered");
    send_all(taken, "plain");
    EXPECT_EQ(recv_all(peer, 5), "plain");
    send_all(peer, "back");
    EXPECT_EQ(recv_all(taken, 4), "back");
  });
}

TEST_F(Release, of_a_closed_socket_is_minus_one) {
  run([] {
    socket nothing;
    net::datagram_socket no_datagrams;

    EXPECT_EQ(nothing.release(), -1);
    EXPECT_EQ(no_datagrams.release(), -1);
  });
}

TEST_F(Release, ends_the_waits_that_are_under_way_with_errc_closed) {
  run([] {
    auto [ours, peer] = tcp_pair();
    auto reader = spawn([&ours = ours] {
      std::error_code ec;
      read_some_text(ours, 10, ec);
      return ec;
    });
    one_turn();
    const unique_fd taken{ours.release()};
    one_turn();

    ASSERT_TRUE(reader.done());
    EXPECT_EQ(reader.result(), errc::closed);
    EXPECT_TRUE(is_open(taken.get()));
  });
}

TEST_F(Release, leaves_a_descriptor_that_can_be_adopted_and_waited_on_again) {
  run([] {
    auto [ours, peer] = tcp_pair();
    for (int round = 0; round < 3; ++round) {
      auto sender = spawn([&peer = peer] { send_all(peer, "x"); });
      EXPECT_EQ(read_some_text(ours), "x");  // parks, so it is registered with the poller
      ours = socket::adopt(ours.release());
    }
  });
}

// ---- moving ----------------------------------------------------------------------------------

class MoveSocket : public runtime_test {};

TEST_F(MoveSocket, takes_the_connection_along_and_closes_the_one_assigned_to) {
  run([] {
    auto [first, first_peer] = tcp_pair();
    auto [second, second_peer] = tcp_pair();
    const int fd = first.native_handle();

    socket third = std::move(first);
    EXPECT_FALSE(first.is_open());
    EXPECT_EQ(third.native_handle(), fd);

    second = std::move(third);
    EXPECT_EQ(second.native_handle(), fd);
    EXPECT_EQ(recv_until_end(second_peer), "");
    second.write("x");
    EXPECT_EQ(recv_all(first_peer, 1), "x");
  });
}

TEST_F(MoveSocket, does_not_disturb_a_fiber_that_waits_on_it) {
  run([] {
    auto [ours, peer] = tcp_pair();
    auto reader = spawn([&ours = ours] { return read_text(ours, 4); });
    one_turn();
    socket elsewhere = std::move(ours);
    send_all(peer, "on");
    one_turn();
    send_all(peer, "on");
    reader.join();

    EXPECT_EQ(reader.result(), "onon");
    EXPECT_TRUE(elsewhere.is_open());
  });
}

// ---- shutdown --------------------------------------------------------------------------------

class Shutdown : public runtime_test {};

TEST_F(Shutdown, of_the_reading_side_ends_the_stream_for_an_own_reader) {
  for (auto make : {tcp_pair, unix_pair}) {
    for (const auto which : {socket::side::read, socket::side::both}) {
      run([&] {
        auto [ours, peer] = make();
        auto reader = spawn([&ours = ours] {
          std::error_code ec;
          read_some_text(ours, 10, ec);
          return ec;
        });
        one_turn();
        ours.shutdown(which);
        reader.join();

        EXPECT_EQ(reader.result(), errc::eof);
      });
    }
  }
}

TEST_F(Shutdown, of_the_writing_side_ends_an_own_writer_and_leaves_an_own_reader_alone) {
  for (auto make : {tcp_pair, unix_pair}) {
    run([&] {
      auto [ours, peer] = make();
      fill(ours.native_handle());
      auto writer = spawn([&ours = ours] {
        std::error_code ec;
        ours.write("x", ec);
        return ec;
      });
      auto reader = spawn([&ours = ours] { return read_some_text(ours); });
      one_turn();
      ours.shutdown(socket::side::write);
      writer.join();

      EXPECT_EQ(writer.result(), std::errc::broken_pipe);
      EXPECT_FALSE(reader.done());
      send_all(peer, "for the reader");
      reader.join();
      EXPECT_EQ(reader.result(), "for the reader");
    });
  }
}

TEST_F(Shutdown, of_what_is_not_connected_is_an_error) {
  run([] {
    socket lonely = socket::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    std::error_code ec;
    lonely.shutdown(socket::side::both, ec);

    EXPECT_EQ(ec, std::errc::not_connected);
  });
}

// ---- options ---------------------------------------------------------------------------------

class Options : public runtime_test {};

TEST_F(Options, are_set_and_read_back) {
  run([] {
    auto [ours, peer] = tcp_pair();
    ours.set_no_delay(false);
    EXPECT_EQ(ours.get_option(IPPROTO_TCP, TCP_NODELAY), 0);
    ours.set_no_delay(true);
    EXPECT_NE(ours.get_option(IPPROTO_TCP, TCP_NODELAY), 0);
    ours.set_keep_alive(true);
    EXPECT_NE(ours.get_option(SOL_SOCKET, SO_KEEPALIVE), 0);
    ours.set_keep_alive(false);
    EXPECT_EQ(ours.get_option(SOL_SOCKET, SO_KEEPALIVE), 0);
    ours.set_send_buffer_size(32 * 1024);
    EXPECT_EQ(ours.get_option(SOL_SOCKET, SO_SNDBUF), 64 * 1024);  // doubled, man 7 socket
    ours.set_receive_buffer_size(32 * 1024);
    EXPECT_EQ(ours.get_option(SOL_SOCKET, SO_RCVBUF), 64 * 1024);
  });
}

TEST_F(Options, of_listeners_and_datagram_sockets_are_set_and_read_back) {
  run([] {
    net::listener listening{endpoint::loopback_v4(0)};
    listening.set_option(SOL_SOCKET, SO_RCVBUF, 32 * 1024);
    EXPECT_EQ(listening.get_option(SOL_SOCKET, SO_RCVBUF), 64 * 1024);
    net::datagram_socket datagrams{endpoint::loopback_v4(0)};
    datagrams.set_option(SOL_SOCKET, SO_BROADCAST, 1);
    EXPECT_EQ(datagrams.get_option(SOL_SOCKET, SO_BROADCAST), 1);

    listening.close();
    datagrams.close();
    EXPECT_EQ(code_thrown_by([&] { listening.set_option(SOL_SOCKET, SO_RCVBUF, 1); }),
              errc::closed);
    EXPECT_EQ(code_thrown_by([&] { listening.get_option(SOL_SOCKET, SO_RCVBUF); }), errc::closed);
    EXPECT_EQ(code_thrown_by([&] { datagrams.get_option(SOL_SOCKET, SO_TYPE); }), errc::closed);
  });
}

TEST_F(Options, that_do_not_fit_are_errors) {
  run([] {
    auto [ours, peer] = unix_pair();
    std::error_code ec;
    ours.set_option(SOL_SOCKET, -1, 0, ec);

    EXPECT_EQ(ec, std::errc::no_protocol_option);
    EXPECT_THROW(ours.set_no_delay(true), std::system_error);
    EXPECT_THROW((void)ours.get_option(SOL_SOCKET, -1), std::system_error);
  });
}

TEST_F(Options, a_linger_of_zero_seconds_resets_the_connection_at_close) {
  run([] {
    auto [ours, peer] = weft_tcp_pair();
    ours.set_linger(std::chrono::seconds{0});
    ours.close();
    std::error_code ec;
    read_some_text(peer, 10, ec);

    EXPECT_EQ(ec, std::errc::connection_reset);
  });
}

TEST_F(Options, without_a_linger_the_peer_gets_what_was_written_before_the_close) {
  run([] {
    auto [ours, peer] = weft_tcp_pair();
    ours.set_linger(std::chrono::seconds{0});
    ours.set_linger(std::nullopt);
    ours.write("everything");
    ours.close();
    std::error_code ec;

    EXPECT_EQ(read_to_end(peer, ec), "everything");
    EXPECT_EQ(ec, errc::eof);
  });
}

TEST_F(Options, the_names_of_a_closed_socket_are_errors) {
  run([] {
    const socket nothing;
    std::error_code ec;

    EXPECT_EQ(nothing.local_endpoint(ec), endpoint{});
    EXPECT_EQ(ec, errc::closed);
    EXPECT_EQ(nothing.remote_endpoint(ec), endpoint{});
    EXPECT_EQ(ec, errc::closed);
  });
}

}  // namespace
}  // namespace weft::test
