// What happens when there is no memory, at each place where some is asked for.
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <future>
#include <new>
#include <optional>
#include <string>
#include <sys/socket.h>
#include <system_error>
#include <utility>

#include <weft/co.hpp>

#include "limited_memory.hpp"
#include "net_fixture.hpp"

namespace weft::test {
namespace {

class OutOfMemory : public runtime_test {};

TEST_F(OutOfMemory, a_fiber_that_is_cancelled_before_it_starts_is_told_all_the_same) {
  run([] {
    auto child = spawn([] {});
    {
      const limited_memory none{0};
      child.request_cancel();
      one_turn();
    }
    child.join();

    EXPECT_EQ(child.state(), fiber_state::cancelled);
  });
}

TEST_F(OutOfMemory, a_future_of_a_call_that_never_came_is_told_all_the_same) {
  std::optional<runtime> workers{std::in_place};
  auto future = workers->spawn([] { return 1; });
  {
    const limited_memory none{0};
    workers.reset();
  }

  EXPECT_EQ(code_thrown_by([&] { future.get(); }), errc::cancelled);
}

// How many allocations it takes is known by trying.
TEST_F(OutOfMemory, a_runtime_that_cannot_be_made_says_so_and_keeps_nothing) {
  long refusals = 0;
  for (bool is_made = false; !is_made; ++refusals) {
    try {
      const limited_memory few{refusals};
      const runtime made{{.workers = 2, .order_seed = 7}};
      is_made = true;
    } catch (const std::bad_alloc&) {
      continue;
    }
  }

  EXPECT_GT(refusals, 2);
}

TEST_F(OutOfMemory, a_listener_that_cannot_be_made_leaves_no_socket_file) {
  const scratch_folder folder;
  const std::string path = folder.path("a name that is longer than a small string");
  const auto where = net::endpoint::unix_domain(path);
  long refusals = 0;
  for (bool is_made = false; !is_made; ++refusals) {
    try {
      const limited_memory few{refusals};
      const net::listener made{where};
      is_made = true;
    } catch (const std::bad_alloc&) {
      ASSERT_FALSE(std::filesystem::exists(path)) << "after " << refusals << " allocations";
    }
  }

  EXPECT_GT(refusals, 1);
}

// The first wait for a descriptor on a worker makes its poller.
TEST_F(OutOfMemory, a_worker_without_a_poller_says_so_and_keeps_nothing_open) {
  std::error_code seen;
  for (long allocations = 0; seen != errc::eof; ++allocations) {
    run([&] {
      auto [ours, peer] = tcp_pair();
      auto closer = spawn([&peer = peer] { peer.reset(); });
      std::array<std::byte, 1> buffer;
      const limited_memory few{allocations};

      ours.read_some(buffer, seen);
    });
    ASSERT_TRUE(seen == errc::eof || seen == std::errc::not_enough_memory) << seen.message();
    EXPECT_TRUE(allocations > 0 || seen == std::errc::not_enough_memory);
  }
}

// ---- servers -----------------------------------------------------------------------------------

// Gives way until the peer has a byte, or the end of its stream: what came.
std::string next_text(const unique_fd& peer) {
  for (;;) {
    char text = 0;
    const ssize_t count = ::recv(peer.get(), &text, 1, MSG_DONTWAIT);
    if (count > 0) return {text};
    if (count == 0 || errno != EAGAIN) return {};
    one_turn();
  }
}

std::string echoed(const unique_fd& peer) {
  send_all(peer, "x");
  return next_text(peer);
}

void take_memory() { std::string(1'000, 'x').shrink_to_fit(); }

void echo(net::socket& connection) {
  take_memory();
  while (const auto data = connection.read_some_borrowed()) connection.write(data);
}

co::task<> co_echo(net::socket& connection) {
  take_memory();
  while (const auto data = co_await connection.co_read_some_borrowed()) {
    co_await connection.co_write(data);
  }
}

fiber<> start_on_fibers(net::listener& listening) {
  return spawn([&] { net::serve(listening, echo); });
}

fiber<> start_in_coroutines(net::listener& listening) {
  return co::spawn(net::co_serve(listening, co_echo));
}

class ServerOutOfMemory : public runtime_test,
                          public ::testing::WithParamInterface<fiber<> (*)(net::listener&)> {};

INSTANTIATE_TEST_SUITE_P(Forms, ServerOutOfMemory,
                         ::testing::Values(&start_on_fibers, &start_in_coroutines),
                         [](const auto& each) {
                           return std::string{each.index == 0 ? "fibers" : "coroutines"};
                         });

// Memory runs out after so many allocations while three connections come to a server on `port`, and
// comes back.
void expect_to_serve_on(std::uint16_t port, long allocations) {
  const unique_fd before = connect_tcp(port);
  ASSERT_EQ(echoed(before), "x");
  const std::array<unique_fd, 3> meanwhile{connect_tcp(port), connect_tcp(port), connect_tcp(port)};
  {
    const limited_memory few{allocations};
    for (int turns = 0; turns < 20; ++turns) one_turn();
  }
  for (const auto& each : meanwhile) {
    const std::string answer = echoed(each);
    EXPECT_TRUE(answer == "x" || answer.empty()) << answer;
  }
  EXPECT_EQ(echoed(before), "x");
  EXPECT_EQ(echoed(connect_tcp(port)), "x");
}

// Wherever that happens, it costs at most the connections that came meanwhile.
TEST_P(ServerOutOfMemory, serves_on_once_there_is_some_again) {
  constexpr long more_than_three_take = 24;
  for (long allocations = 0; allocations < more_than_three_take; ++allocations) {
    SCOPED_TRACE(allocations);
    run([&] {
      net::listener listening{net::endpoint::loopback_v4(0)};
      auto server = GetParam()(listening);
      expect_to_serve_on(listening.local_endpoint().port(), allocations);

      server.request_cancel();
      server.join();
      server.result();
    });
    take_diagnostics();  // of the connections that it has cost
  }
}

TEST_F(OutOfMemory, ends_a_run_that_leaves_fibers) {
  bool unwound = false;
  {
    std::optional<limited_memory> none;
    runtime instance;
    instance.run([&] {
      spawn([&] {
        std::error_code ec;
        this_fiber::sleep_for(std::chrono::hours{1}, ec);
        unwound = true;
      }).detach();
      one_turn();
      none.emplace(0);  // nor is there any for a thread that watches the end
    });
  }

  EXPECT_TRUE(unwound);
}

}  // namespace
}  // namespace weft::test
