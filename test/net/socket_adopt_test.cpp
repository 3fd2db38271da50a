// Descriptors that become sockets, and sockets that become descriptors again.
#include <array>
#include <atomic>
#include <cstddef>
#include <fcntl.h>
#include <new>
#include <sys/resource.h>
#include <sys/socket.h>
#include <system_error>
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

using net::socket;

bool is_blocking(int fd) { return (::fcntl(fd, F_GETFL) & O_NONBLOCK) == 0; }

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

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
    auto reader = spawn_reader(ours);
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

}  // namespace
}  // namespace weft::test
