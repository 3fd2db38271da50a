// What happens when there is no memory, at each place where some is asked for.
#include <array>
#include <cstddef>
#include <future>
#include <optional>
#include <system_error>
#include <utility>

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

}  // namespace
}  // namespace weft::test
