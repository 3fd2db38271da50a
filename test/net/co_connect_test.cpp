// Connecting sockets in coroutines: who is reached, what is reported, what ends the wait.
#include <string>
#include <sys/socket.h>
#include <unistd.h>

#include "coroutines.hpp"

namespace weft::test {
namespace {

using net::endpoint;
using net::socket;

class CoConnect : public runtime_test {};

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

// A task that connects to `address` and says how that ended.
fiber<std::error_code> spawn_connector(const endpoint& address) {
  return co::spawn([&address]() -> co::task<std::error_code> {
    std::error_code ec;
    const socket made = co_await socket::co_connect(address, ec);
    EXPECT_EQ(made.is_open(), !ec);
    co_return ec;
  });
}

std::error_code connection_error(const endpoint& address) {
  auto connector = spawn_connector(address);
  connector.join();
  return connector.result();
}

TEST_F(CoConnect, reaches_listeners_of_each_family) {
  run([] {
    const scratch_folder folder;
    for (const endpoint& local :
         {endpoint::loopback_v4(0), endpoint::loopback_v6(0),
          endpoint::unix_domain(folder.path("socket")),
          endpoint::unix_domain("@weft-co-connect-" + std::to_string(::getpid()))}) {
      net::listener listening{local};
      const endpoint address = listening.local_endpoint();
      socket client = co::block_on(socket::co_connect(address));
      socket server = co::block_on(listening.co_accept());

      client.write("hi");
      EXPECT_EQ(read_text(server, 2), "hi") << local;
      EXPECT_EQ(client.remote_endpoint(), address);
    }
  });
}

TEST_F(CoConnect, is_refused_where_nobody_listens) {
  run([] {
    unique_fd holder;
    EXPECT_EQ(connection_error(endpoint::loopback_v4(refused_port(holder))),
              std::errc::connection_refused);
  });
}

TEST_F(CoConnect, names_the_address_that_it_could_not_reach) {
  run([] {
    unique_fd holder;
    const endpoint address = endpoint::loopback_v4(refused_port(holder));
    try {
      (void)co::block_on(socket::co_connect(address));
      ADD_FAILURE() << "connected";
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code(), std::errc::connection_refused);
      EXPECT_NE(std::string(error.what()).find(address.to_string()), std::string::npos);
    }
  });
}

TEST_F(CoConnect, reports_addresses_that_cannot_be_reached) {
  run([] {
    const scratch_folder folder;
    const auto datagrams = endpoint::unix_domain(folder.path("datagrams"));
    const net::datagram_socket bound{datagrams};

    EXPECT_EQ(connection_error(endpoint::unix_domain(folder.path("nothing"))),
              std::errc::no_such_file_or_directory);
    EXPECT_EQ(connection_error(datagrams), std::errc::wrong_protocol_type);
    EXPECT_EQ(connection_error(endpoint{}), std::errc::address_family_not_supported);
  });
}

TEST_F(CoConnect, reports_that_descriptors_have_run_out) {
  run([] {
    const unique_fd listening = listen_tcp();
    const endpoint there = endpoint::loopback_v4(local_port(listening));
    std::error_code ec;
    no_more_descriptors limit;
    (void)co::block_on(socket::co_connect(there, ec));
    limit.end();

    EXPECT_EQ(ec, std::errc::too_many_files_open);
  });
}

TEST_F(CoConnect, waits_for_a_peer_that_is_slow_to_accept) {
  run([] {
    full_listener peer = full_tcp_listener();
    auto client = spawn_connector(peer.address);
    one_turn();
    EXPECT_FALSE(client.done());
    // The kernel repeats the SYN after a second.
    const unique_fd first = accept_one(peer.listening);
    client.join();

    EXPECT_FALSE(client.result());
  });
}

TEST_F(CoConnect, is_cancelled_while_in_progress_and_leaves_no_descriptor) {
  run([] {
    const full_listener peer = full_tcp_listener();
    auto client = spawn_connector(peer.address);
    one_turn();
    ASSERT_FALSE(client.done());
    client.request_cancel();
    client.join();

    EXPECT_EQ(client.result(), errc::cancelled);
  });
}

TEST_F(CoConnect, waits_for_room_in_the_backlog_of_a_unix_socket) {
  run([] {
    const scratch_folder folder;
    full_listener peer = full_unix_listener(folder.path("socket"));
    auto client = co::spawn(socket::co_connect(peer.address));
    one_turn();
    EXPECT_FALSE(client.done());
    const unique_fd first = accept_one(peer.listening);
    client.join();
    const unique_fd second = accept_one(peer.listening);
    client.result().write("here");

    EXPECT_EQ(recv_all(second, 4), "here");
  });
}

TEST_F(CoConnect, is_cancelled_while_it_waits_for_room_in_the_backlog_of_a_unix_socket) {
  run([] {
    const scratch_folder folder;
    const full_listener peer = full_unix_listener(folder.path("socket"));
    auto client = spawn_connector(peer.address);
    one_turn();
    ASSERT_FALSE(client.done());
    client.request_cancel();
    client.join();

    EXPECT_EQ(client.result(), errc::cancelled);
  });
}

TEST_F(CoConnect, of_a_cancelled_task_does_not_connect) {
  run([] {
    net::listener listening{endpoint::loopback_v4(0)};
    const endpoint address = listening.local_endpoint();
    const outcome result =
        cancel_before_it_is_awaited([&](std::error_code& ec) -> co::task<std::size_t> {
          const socket made = co_await socket::co_connect(address, ec);
          co_return made.is_open() ? 1 : 0;
        });
    socket probe = socket::connect(address);
    endpoint first;
    (void)listening.accept(first);

    EXPECT_EQ(result.count, 0u);
    EXPECT_EQ(result.ec, errc::cancelled);
    EXPECT_EQ(first, probe.local_endpoint());
  });
}

TEST_F(CoConnect, does_not_need_the_address_once_it_has_been_called) {
  run([] {
    net::listener listening{endpoint::loopback_v4(0)};
    auto address = std::make_unique<endpoint>(listening.local_endpoint());
    auto connecting = socket::co_connect(*address);
    address.reset();

    EXPECT_TRUE(co::block_on(std::move(connecting)).is_open());
  });
}

}  // namespace
}  // namespace weft::test
