// Listening: addresses, options, socket files, and what accept() returns.
#include <array>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net_fixture.hpp"
#include "system_calls.hpp"

namespace weft::test {
namespace {

using net::endpoint;
using net::listen_options;
using net::listener;
using net::socket;

class Listener : public runtime_test {};

std::error_code failure_to_listen(const endpoint& local, const listen_options& options = {}) {
  std::error_code ec;
  const listener made = listener::listen(local, options, ec);
  EXPECT_EQ(made.is_open(), !ec);
  return ec;
}

TEST_F(Listener, accepts_with_the_address_of_the_peer) {
  run([] {
    listener listening{endpoint::loopback_v4(0)};
    EXPECT_NE(listening.local_endpoint().port(), 0);
    socket client = socket::connect(listening.local_endpoint());
    endpoint peer;
    socket server = listening.accept(peer);

    EXPECT_EQ(peer, client.local_endpoint());
    EXPECT_EQ(server.remote_endpoint(), peer);
    std::error_code ec;
    socket second_client = socket::connect(listening.local_endpoint());
    EXPECT_TRUE(listening.accept(peer, ec).is_open());
    EXPECT_FALSE(ec);
    EXPECT_EQ(peer, second_client.local_endpoint());
  });
}

TEST_F(Listener, accepts_sockets_that_are_non_blocking_and_not_inherited) {
  run([] {
    listener listening{endpoint::loopback_v4(0)};
    const unique_fd client = connect_tcp(listening.local_endpoint().port());
    const socket server = listening.accept();

    EXPECT_NE(::fcntl(server.native_handle(), F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(::fcntl(server.native_handle(), F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_NE(::fcntl(listening.native_handle(), F_GETFD) & FD_CLOEXEC, 0);
  });
}

TEST_F(Listener, waits_for_a_connection_and_lets_others_run) {
  run([] {
    listener listening{endpoint::loopback_v4(0)};
    auto client = spawn([&] { return connect_tcp(listening.local_endpoint().port()); });

    EXPECT_TRUE(listening.accept().is_open());
    EXPECT_TRUE(client.done());
  });
}

TEST_F(Listener, accepts_all_that_are_queued_after_one_event) {
  run([] {
    listener listening{endpoint::loopback_v4(0)};
    auto server = spawn([&] {
      std::vector<socket> accepted;
      while (accepted.size() < 50) accepted.push_back(listening.accept());
      return accepted.size();
    });
    one_turn();
    std::vector<unique_fd> clients;
    for (int i = 0; i < 50; ++i) clients.push_back(connect_tcp(listening.local_endpoint().port()));
    server.join();

    EXPECT_EQ(server.result(), 50u);
  });
}

// An accept4(2) that says EAGAIN makes a socket first and throws it away.
TEST_F(Listener, does_not_accept_what_is_not_there) {
  run([] {
    listener listening{endpoint::loopback_v4(0)};
    const auto port = listening.local_endpoint().port();
    const auto calls_before = system_calls().accept4_calls;
    std::size_t accepted = 0;
    auto server = spawn([&] {
      for (; accepted < 6; ++accepted) listening.accept();
    });
    one_turn();
    std::vector<unique_fd> clients;
    const auto connect_more = [&](std::size_t count) {
      const std::size_t goal = accepted + count;
      for (std::size_t i = 0; i < count; ++i) clients.push_back(connect_tcp(port));
      give_way_until([&] { return accepted == goal; });
      one_turn();  // in which it looks for another
    };
    connect_more(3);  // with one event
    connect_more(1);
    EXPECT_EQ(system_calls().accept4_calls - calls_before, 4u);
    connect_more(2);
    server.join();

    EXPECT_EQ(system_calls().accept4_calls - calls_before, 6u);
  });
}

TEST_F(Listener, accepts_a_connection_that_the_peer_has_already_reset_or_ended) {
  run([] {
    listener listening{endpoint::loopback_v4(0)};
    unique_fd reset = connect_tcp(listening.local_endpoint().port());
    reset_by(reset);
    unique_fd ended = connect_tcp(listening.local_endpoint().port());
    send_all(ended, "and gone");
    ended.reset();
    std::error_code ec;
    socket first = listening.accept();
    socket second = listening.accept();
    read_to_end(first, ec);

    EXPECT_EQ(ec, std::errc::connection_reset);
    EXPECT_EQ(read_to_end(second, ec), "and gone");
    EXPECT_EQ(ec, errc::eof);
  });
}

TEST_F(Listener, a_closed_one_says_so) {
  run([] {
    listener nothing;
    std::error_code ec;
    endpoint peer;

    EXPECT_FALSE(nothing.is_open());
    EXPECT_EQ(nothing.native_handle(), -1);
    EXPECT_FALSE(nothing.accept(ec).is_open());
    EXPECT_EQ(ec, errc::closed);
    EXPECT_THROW(nothing.accept(), std::system_error);
    EXPECT_THROW(nothing.accept(peer), std::system_error);
    EXPECT_THROW((void)nothing.local_endpoint(), std::system_error);
    nothing.close();
  });
}

TEST_F(Listener, refuses_connections_once_it_is_closed) {
  run([] {
    listener listening{endpoint::loopback_v4(0)};
    const endpoint address = listening.local_endpoint();
    listening.close();
    std::error_code ec;
    (void)socket::connect(address, ec);

    EXPECT_EQ(ec, std::errc::connection_refused);
  });
}

TEST_F(Listener, names_the_address_that_is_in_use) {
  run([] {
    const listener first{endpoint::loopback_v4(0)};
    const endpoint taken = first.local_endpoint();
    EXPECT_EQ(failure_to_listen(taken), std::errc::address_in_use);
    try {
      const listener second{taken};
      ADD_FAILURE() << "two listen at once";
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code(), std::errc::address_in_use);
      EXPECT_NE(std::string(error.what()).find(taken.to_string()), std::string::npos);
    }
  });
}

TEST_F(Listener, listens_again_at_once_where_connections_were_a_moment_ago) {
  run([] {
    listener listening{endpoint::loopback_v4(0)};
    const endpoint address = listening.local_endpoint();
    socket client = socket::connect(address);
    listening.accept().close();  // the server ends it first, so its side stays in TIME_WAIT
    std::error_code ec;
    read_to_end(client, ec);
    client.close();
    listening = listener{};

    EXPECT_FALSE(failure_to_listen(address));
  });
}

TEST_F(Listener, reports_addresses_that_cannot_be_listened_on) {
  run([] {
    EXPECT_EQ(failure_to_listen(endpoint{}), std::errc::address_family_not_supported);
    EXPECT_EQ(failure_to_listen(endpoint::v4({192, 0, 2, 1}, 0)), std::errc::address_not_available);
    EXPECT_EQ(failure_to_listen(endpoint::unix_domain("/no/such/folder/socket")),
              std::errc::no_such_file_or_directory);
  });
}

TEST_F(Listener, shares_a_port_with_others_that_allow_it) {
  run([] {
    const listen_options sharing{.reuse_port = true};
    listener first{endpoint::loopback_v4(0), sharing};
    const endpoint address = first.local_endpoint();
    listener second{address, sharing};
    EXPECT_EQ(second.local_endpoint(), address);
    EXPECT_EQ(failure_to_listen(address), std::errc::address_in_use);

    int accepted = 0;
    std::vector<fiber<>> servers;
    for (listener* each : {&first, &second}) {
      servers.push_back(spawn([&accepted, each] {
        std::error_code ec;
        while (each->accept(ec).is_open()) ++accepted;
      }));
    }
    std::vector<socket> clients;
    for (int i = 0; i < 40; ++i) clients.push_back(socket::connect(address));
    give_way_until([&] { return accepted == 40; });
    first.close();
    second.close();
  });
}

TEST_F(Listener, on_any_v6_address_takes_v4_peers_unless_told_not_to) {
  run([] {
    listener both{endpoint::any_v6(0)};
    listener only_v6{endpoint::any_v6(0), {.v6_only = true}};
    endpoint peer;
    std::error_code ec;

    socket v4 = socket::connect(endpoint::loopback_v4(both.local_endpoint().port()));
    EXPECT_TRUE(both.accept(peer).is_open());
    EXPECT_TRUE(peer.is_v6());
    EXPECT_TRUE(peer.is_loopback());
    socket v6 = socket::connect(endpoint::loopback_v6(only_v6.local_endpoint().port()));
    EXPECT_TRUE(only_v6.accept().is_open());
    (void)socket::connect(endpoint::loopback_v4(only_v6.local_endpoint().port()), ec);
    EXPECT_EQ(ec, std::errc::connection_refused);
  });
}

TEST_F(Listener, moves_with_its_address_and_closes_the_one_assigned_to) {
  run([] {
    const scratch_folder folder;
    const std::string first_file = folder.path("first");
    const std::string second_file = folder.path("second");
    listener first{endpoint::unix_domain(first_file)};
    listener second{endpoint::unix_domain(second_file)};
    listener moved = std::move(first);
    EXPECT_FALSE(first.is_open());
    EXPECT_TRUE(std::filesystem::exists(first_file));
    first.close();
    EXPECT_TRUE(std::filesystem::exists(first_file));

    second = std::move(moved);
    EXPECT_FALSE(std::filesystem::exists(second_file));
    EXPECT_EQ(second.local_endpoint().path(), first_file);
    const socket client = socket::connect(endpoint::unix_domain(first_file));
    EXPECT_TRUE(second.accept().is_open());
    second.close();
    EXPECT_FALSE(std::filesystem::exists(first_file));
  });
}

// ---- UNIX socket files -----------------------------------------------------------------------

class SocketFile : public runtime_test {};

TEST_F(SocketFile, is_removed_when_the_listener_is_closed_or_destroyed) {
  run([] {
    const scratch_folder folder;
    const std::string file = folder.path("socket");
    {
      const listener listening{endpoint::unix_domain(file)};
      EXPECT_TRUE(std::filesystem::is_socket(file));
    }
    EXPECT_FALSE(std::filesystem::exists(file));
    listener again{endpoint::unix_domain(file)};
    again.close();
    EXPECT_FALSE(std::filesystem::exists(file));
  });
}

TEST_F(SocketFile, of_another_that_took_its_place_is_left_alone) {
  run([] {
    const scratch_folder folder;
    const std::string file = folder.path("socket");
    listener first{endpoint::unix_domain(file)};
    std::filesystem::remove(file);
    const listener second{endpoint::unix_domain(file)};

    first.close();

    EXPECT_TRUE(std::filesystem::is_socket(file));
    EXPECT_TRUE(socket::connect(endpoint::unix_domain(file)).is_open());
  });
}

TEST_F(SocketFile, that_was_left_over_is_replaced) {
  run([] {
    const scratch_folder folder;
    const std::string file = folder.path("socket");
    listen_unix(file).reset();  // as of a server that was killed
    ASSERT_TRUE(std::filesystem::is_socket(file));
    listener listening{endpoint::unix_domain(file)};
    socket client = socket::connect(endpoint::unix_domain(file));

    EXPECT_TRUE(listening.accept().is_open());
  });
}

TEST_F(SocketFile, that_somebody_listens_on_is_left_alone) {
  run([] {
    const scratch_folder folder;
    const std::string file = folder.path("socket");
    listener live{endpoint::unix_domain(file)};
    EXPECT_EQ(failure_to_listen(endpoint::unix_domain(file)), std::errc::address_in_use);
    socket client = socket::connect(endpoint::unix_domain(file));
    client.write("x");
    std::string got;
    std::error_code ec;
    while (got.empty()) {
      socket accepted = live.accept();
      got = read_some_text(accepted, 10, ec);
    }

    EXPECT_EQ(got, "x");
  });
}

TEST_F(SocketFile, that_is_full_of_connections_is_left_alone) {
  run([] {
    const scratch_folder folder;
    const std::string file = folder.path("socket");
    const endpoint address = endpoint::unix_domain(file);
    const unique_fd live = listen_unix(file, 0);
    const unique_fd client{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    ASSERT_EQ(::connect(client.get(), address.native(), address.native_size()), 0);

    EXPECT_EQ(failure_to_listen(address), std::errc::address_in_use);
    EXPECT_TRUE(std::filesystem::is_socket(file));
  });
}

TEST_F(SocketFile, that_belongs_to_a_datagram_socket_is_left_alone) {
  run([] {
    const scratch_folder folder;
    const std::string file = folder.path("socket");
    const net::datagram_socket datagrams{endpoint::unix_domain(file)};

    EXPECT_EQ(failure_to_listen(endpoint::unix_domain(file)), std::errc::address_in_use);
    EXPECT_TRUE(std::filesystem::is_socket(file));
  });
}

TEST_F(SocketFile, that_is_a_regular_file_or_a_link_is_not_deleted) {
  run([] {
    const scratch_folder folder;
    const std::string regular = folder.path("regular");
    std::ofstream{regular} << "precious";
    const std::string link = folder.path("link");
    listen_unix(folder.path("left over")).reset();
    std::filesystem::create_symlink(folder.path("left over"), link);

    EXPECT_EQ(failure_to_listen(endpoint::unix_domain(regular)), std::errc::address_in_use);
    EXPECT_EQ(failure_to_listen(endpoint::unix_domain(link)), std::errc::address_in_use);
    EXPECT_EQ(std::filesystem::file_size(regular), 8u);
    EXPECT_TRUE(std::filesystem::is_symlink(link));
  });
}

TEST_F(SocketFile, whose_name_begins_with_an_at_sign_is_a_file_like_any_other) {
  const scratch_folder folder;
  const auto former = std::filesystem::current_path();
  std::filesystem::current_path(folder.path(""));
  run([] {
    const endpoint address = endpoint::parse("unix:\\@file");
    ASSERT_EQ(address.path(), "@file");
    listen_unix("@file").reset();
    {
      listener listening{address};
      const socket client = socket::connect(address);
      EXPECT_TRUE(listening.accept().is_open());
    }
    EXPECT_FALSE(std::filesystem::exists("@file"));
  });
  std::filesystem::current_path(former);
}

TEST_F(SocketFile, of_an_abstract_name_there_is_none) {
  run([] {
    const endpoint address =
        endpoint::unix_domain("@weft-listener-test-" + std::to_string(::getpid()));
    listener listening{address};
    EXPECT_EQ(failure_to_listen(address), std::errc::address_in_use);
    const socket client = socket::connect(address);
    EXPECT_TRUE(listening.accept().is_open());
    listening.close();

    EXPECT_FALSE(failure_to_listen(address));
  });
}

TEST_F(SocketFile, is_removed_when_listening_fails_after_all) {
  run([] {
    const scratch_folder folder;
    const std::string file = folder.path("socket");
    const std::error_code ec = failure_to_listen(endpoint::unix_domain(file), {.reuse_port = true});

    // Kernels that know no such option for UNIX sockets refuse it, others pass over it.
    EXPECT_TRUE(!ec || ec == std::errc::operation_not_supported) << ec.message();
    EXPECT_FALSE(std::filesystem::exists(file));
  });
}

}  // namespace
}  // namespace weft::test
