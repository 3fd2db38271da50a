// Connecting sockets: who is reached, what is reported, what ends the wait.
#include <string>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

#include "net_fixture.hpp"

namespace weft::test {
namespace {

using net::endpoint;
using net::socket;

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

}  // namespace
}  // namespace weft::test
