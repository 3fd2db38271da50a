// The memory of coroutines: frames made and freed on different threads, and what a worker keeps.
#include <array>
#include <cstring>
#include <malloc.h>
#include <memory>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <weft/co.hpp>
#include <weft/fiber/channel.hpp>

#include "control_block.hpp"
#include "support/runtime_fixture.hpp"

namespace {

using weft::co::task;
using weft::detail::allocate_frame;
using weft::detail::frame_cache;
using weft::detail::free_frame;
using weft::test::under_asan;
using weft::test::under_tsan;

class CoFrames : public weft::test::runtime_test {};

TEST_F(CoFrames, made_on_a_plain_thread_has_room_for_the_largest_of_its_class) {
  if (!weft::detail::frames_are_cached) GTEST_SKIP() << "no frame is used again";
  for (const std::size_t size : {1u, 65u, 129u, 961u}) {
    void* const frame = allocate_frame(size);

    EXPECT_GE(weft::detail::header_of(frame).room,
              (size / frame_cache::step + 1) * frame_cache::step);
    free_frame(frame, size);
  }
}

TEST_F(CoFrames, are_all_the_memory_of_a_lambda_with_one_reference_beside_its_block) {
  int calls = 0;
  const auto function = [&calls]() -> task<> {
    ++calls;
    co_return;
  };
  using root = weft::co::detail::task_of<std::remove_const_t<decltype(function)>>::root;
  static_assert(sizeof(root) <= weft::detail::inline_task_size);

  run([&] { weft::co::spawn(function).join(); });

  EXPECT_EQ(calls, 1);
}

TEST_F(CoFrames, of_a_plain_thread_is_used_again_by_a_worker) {
  constexpr std::size_t small = 5 * frame_cache::step + 1;
  constexpr std::size_t large = 6 * frame_cache::step;
  void* const made_here = allocate_frame(small);

  run([&] {
    free_frame(made_here, small);
    void* const again = allocate_frame(large);
    std::memset(again, 1, large);  // the heap sees it if that is too much
    free_frame(again, large);
  });
}

TEST_F(CoFrames, of_any_size_can_be_made_and_freed) {
  run([] {
    std::vector<std::pair<void*, std::size_t>> frames;
    for (std::size_t size = 1; size <= 2'000; size += 7) {
      void* const frame = allocate_frame(size);
      std::memset(frame, 1, size);
      frames.emplace_back(frame, size);
    }
    for (const auto& [frame, size] : frames) free_frame(frame, size);
  });
}

template <std::size_t Bytes>
task<> hold_across_a_wait(int levels) {
  std::array<char, Bytes> local{};
  local[Bytes / 2] = 1;
  if (levels > 0) {
    co_await hold_across_a_wait<Bytes>(levels - 1);
  } else {
    co_await weft::co::yield();
  }
  EXPECT_EQ(local[Bytes / 2], 1);
}

void fill_the_cache() {
  weft::run([] {
    for (int times = 0; times < 2; ++times) {
      weft::co::block_on(hold_across_a_wait<100>(300));
      weft::co::block_on(hold_across_a_wait<500>(300));
    }
  });
}

TEST_F(CoFrames, kept_by_a_worker_go_with_it) {
  if (under_asan || under_tsan) GTEST_SKIP() << "the heap is not that of the C library";
  fill_the_cache();
  const std::size_t before = ::mallinfo2().uordblks;

  for (int i = 0; i < 20; ++i) fill_the_cache();

  EXPECT_LT(::mallinfo2().uordblks, before + std::size_t{256} * 1024);
}

TEST_F(CoFrames, in_a_burst_larger_than_the_cache_are_given_back) {
  if (under_asan || under_tsan) GTEST_SKIP() << "the heap is not that of the C library";
  run([] {
    const auto burst = [] {
      std::vector<weft::fiber<>> all;
      for (int i = 0; i < 5'000; ++i) all.push_back(weft::co::spawn(hold_across_a_wait<500>(0)));
      for (auto& each : all) each.join();
    };
    burst();
    const std::size_t before = ::mallinfo2().uordblks;

    burst();

    EXPECT_LT(::mallinfo2().uordblks, before + std::size_t{1024} * 1024);
  });
}

TEST_F(CoFrames, made_on_one_worker_run_and_end_on_another) {
  run(
      [] {
        weft::channel<task<int>> tasks{4};
        auto runner = weft::co::spawn_on(1, [&]() -> task<int> {
          int sum = 0;
          while (auto next = co_await tasks.co_receive()) sum += co_await std::move(*next);
          co_return sum;
        });
        auto one = []() -> task<int> {
          co_await weft::co::yield();
          co_return 1;
        };
        for (int i = 0; i < 1'000; ++i) tasks.send(one());
        tasks.close();

        runner.join();

        EXPECT_EQ(runner.result(), 1'000);
      },
      {.workers = 2});
}

TEST_F(CoFrames, made_on_a_worker_may_end_on_a_plain_thread) {
  auto parameter = std::make_shared<int>(1);
  auto hold = [](std::shared_ptr<int> held) -> task<int> { co_return *held; };
  std::optional<task<int>> made;
  run([&] { made.emplace(hold(parameter)); });

  std::thread other{[&] { EXPECT_EQ(weft::co::block_on(std::move(*made)), 1); }};
  other.join();

  EXPECT_EQ(parameter.use_count(), 1);
}

}  // namespace
