// What comes of a fiber: its result, of any type, or its exception.
#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>

#include "on_destruction.hpp"
#include "support/runtime_fixture.hpp"

namespace {

using weft::spawn;
using weft::test::note_of_end;

class SpawnResult : public weft::test::runtime_test {};

TEST_F(SpawnResult, the_result_is_what_the_function_returned) {
  run([] {
    auto child = spawn([] { return std::string("result"); });

    child.join();

    EXPECT_EQ(child.result(), "result");
    EXPECT_EQ(child.result(), "result");
  });
}

TEST_F(SpawnResult, a_result_that_can_only_be_moved_is_moved_out_of_a_handle_that_goes) {
  run([] {
    auto child = spawn([] { return std::make_unique<int>(7); });

    child.join();
    const std::unique_ptr<int> result = std::move(child).result();

    EXPECT_EQ(*result, 7);
  });
}

TEST_F(SpawnResult, a_result_may_be_a_reference) {
  run([] {
    int value = 1;
    auto child = spawn([&]() -> int& { return value; });

    child.join();

    EXPECT_EQ(&child.result(), &value);
    EXPECT_EQ(&std::move(child).result(), &value);
  });
}

TEST_F(SpawnResult, a_result_may_be_nothing) {
  run([] {
    auto child = spawn([] {});

    child.join();

    EXPECT_NO_THROW(child.result());
    EXPECT_NO_THROW(std::move(child).result());
  });
}

TEST_F(SpawnResult, a_result_may_be_over_aligned) {
  struct alignas(128) wide {
    std::array<char, 128> bytes{};
  };

  run([] {
    auto child = spawn([] { return wide{}; });

    child.join();

    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(&child.result()) % 128, 0u);
  });
}

TEST_F(SpawnResult, a_result_may_be_a_handle) {
  run([] {
    auto outer = spawn([] { return spawn([] { return 9; }); });

    outer.join();
    outer.result().join();

    EXPECT_EQ(outer.result().result(), 9);
  });
}

TEST_F(SpawnResult, a_result_before_the_end_is_operation_in_progress) {
  run([] {
    auto child = spawn([] { return 1; });

    try {
      static_cast<void>(child.result());
      ADD_FAILURE() << "nothing was thrown";
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code(), std::errc::operation_in_progress);
    }
    child.join();
    EXPECT_EQ(child.result(), 1);
  });
}

TEST_F(SpawnResult, the_result_of_an_empty_handle_is_invalid_argument) {
  weft::fiber<int> none;

  try {
    static_cast<void>(none.result());
    FAIL() << "nothing was thrown";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::invalid_argument);
  }
}

TEST_F(SpawnResult, an_exception_is_kept_and_rethrown_by_every_look_at_the_result) {
  run([] {
    auto child = spawn([]() -> int { throw std::out_of_range("thrown by the fiber"); });

    child.join();

    for (int i = 0; i < 2; ++i) {
      try {
        static_cast<void>(child.result());
        ADD_FAILURE() << "nothing was thrown";
      } catch (const std::out_of_range& error) {
        EXPECT_STREQ(error.what(), "thrown by the fiber");
      }
    }
  });
}

TEST_F(SpawnResult, the_result_of_a_detached_fiber_is_destroyed_on_its_fiber_where_it_may_wait) {
  run([] {
    weft::fiber_id where{};
    weft::fiber_id inside{};
    bool inner_ended = false;

    spawn([&] {
      inside = weft::this_fiber::get_id();
      auto inner = spawn([&] {
        std::error_code ec;
        weft::this_fiber::sleep_for(std::chrono::hours(24), ec);
        weft::this_fiber::yield();
        inner_ended = true;
      });
      weft::this_fiber::yield();
      return std::pair(std::move(inner), note_of_end(where));
    }).detach();
    while (!inner_ended) weft::this_fiber::yield();
    weft::this_fiber::yield();

    EXPECT_EQ(where, inside);
  });
}

}  // namespace
