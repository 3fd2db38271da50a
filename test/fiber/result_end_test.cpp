// The end of a result that nobody keeps: it is destroyed where it may wait, whoever is the last to
// know of it.
#include <atomic>
#include <chrono>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>
#include <weft/fiber/detail/wait.hpp>

#include "support/runtime_fixture.hpp"

namespace {

class ResultEnd : public weft::test::runtime_test {};

// Its destructor may wait, so it must run where something can: on a fiber, or on a plain thread.
struct notes_its_end {
  std::atomic<int>* astray;

  explicit notes_its_end(std::atomic<int>& count) : astray(&count) {}

  notes_its_end(notes_its_end&& other) noexcept : astray(std::exchange(other.astray, nullptr)) {}

  notes_its_end& operator=(notes_its_end&&) = delete;

  ~notes_its_end() {
    if (astray == nullptr) return;
    const bool on_fiber = weft::this_fiber::get_id() != weft::fiber_id{};
    if (weft::detail::on_worker() != on_fiber) ++*astray;
    if (on_fiber) weft::this_fiber::yield();
  }
};

TEST_F(ResultEnd, a_result_is_destroyed_where_it_may_wait_whoever_is_the_last_to_know_it) {
  std::atomic<int> astray = 0;
  run([&] {
    std::atomic<bool> enough = false;
    std::atomic<weft::fiber<notes_its_end>*> shared = nullptr;
    std::atomic<bool> is_ending = false;
    // Gives the handle up at about the moment at which the fiber ends, a little later each time.
    std::thread dropper{[&] {
      for (int round = 0; !enough; ++round) {
        while (!is_ending.exchange(false) && !enough) std::this_thread::yield();
        if (enough) return;
        for (int i = round % 256; i > 0; --i) __builtin_ia32_pause();
        while (shared == nullptr) std::this_thread::yield();
        shared.load()->detach();
        shared = nullptr;
      }
    }};

    // Handshakes take long on a machine with other work.
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds{500};
    for (int round = 0; round < 30'000 && std::chrono::steady_clock::now() < end; ++round) {
      auto handle = weft::spawn([&] {
        is_ending = true;
        return notes_its_end{astray};
      });
      shared = &handle;
      while (shared != nullptr || weft::test::live_fibers() != 0) weft::this_fiber::yield();
    }
    enough = true;
    dropper.join();
  });

  EXPECT_EQ(astray, 0);
}

// Another worker's request to cancel it is on its way when the fiber ends, and its handle is gone.
TEST_F(ResultEnd, a_result_is_destroyed_on_its_fiber_though_a_cancellation_is_on_its_way) {
  std::atomic<int> astray = 0;
  run(
      [&] {
        std::atomic<bool> runs = false;
        std::atomic<bool> is_cancelled = false;
        auto handle = weft::spawn_on(1, [&] {
          runs = true;
          while (!is_cancelled) std::this_thread::yield();
          return notes_its_end{astray};
        });
        while (!runs) std::this_thread::yield();

        handle.request_cancel();
        handle.detach();
        is_cancelled = true;

        // It runs on after the fiber that has been detached, on the same worker.
        weft::spawn_on(1, [] { weft::this_fiber::yield(); }).join();
      },
      {.workers = 2});

  EXPECT_EQ(astray, 0);
}

}  // namespace
