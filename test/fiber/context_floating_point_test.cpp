// The machine context and floating-point control: the control bits of MXCSR and the x87 control
// word belong to a fiber, which inherits those of its spawner (System V ABI, x86-64, 3.2.3).
#include <cfenv>
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>

#include "support/runtime_fixture.hpp"

namespace {

using weft::spawn;
using weft::this_fiber::yield;

// Restores the environment of the thread, which is that of the main fiber.
class ContextFloatingPoint : public weft::test::runtime_test {
protected:
  void TearDown() override {
    std::fesetenv(FE_DFL_ENV);
    runtime_test::TearDown();
  }
};

// 1/3 as it comes out at run time, in the rounding mode of the moment.
double third() {
  volatile double one = 1.0;
  volatile double three = 3.0;
  return one / three;
}

TEST_F(ContextFloatingPoint, a_fiber_keeps_its_rounding_mode_and_does_not_leak_it) {
  const double nearest = third();
  run([nearest] {
    bool stop = false;
    auto upward = spawn([&] {
      std::fesetround(FE_UPWARD);
      const double mine = third();
      while (!stop) {
        yield();
        EXPECT_EQ(std::fegetround(), FE_UPWARD);
        EXPECT_EQ(third(), mine);
      }
      EXPECT_GT(mine, nearest);
    });
    auto other = spawn([&] {
      while (!stop) {
        yield();
        EXPECT_EQ(std::fegetround(), FE_TONEAREST);
        EXPECT_EQ(third(), nearest);
      }
    });

    for (int i = 0; i < 100; ++i) {
      yield();
      EXPECT_EQ(std::fegetround(), FE_TONEAREST);
    }
    stop = true;
    upward.join();
    other.join();
  });
}

TEST_F(ContextFloatingPoint, a_fiber_that_ends_does_not_leave_its_rounding_mode_to_the_next) {
  run([] {
    for (int i = 0; i < 10; ++i) {
      // The second one starts on the stack that the first one leaves.
      auto upward = spawn([] { std::fesetround(FE_UPWARD); });
      auto next = spawn([] { EXPECT_EQ(std::fegetround(), FE_TONEAREST); });
      next.join();
      upward.join();
      EXPECT_EQ(std::fegetround(), FE_TONEAREST);
    }
  });
}

TEST_F(ContextFloatingPoint, a_child_inherits_the_rounding_mode_its_spawner_has_at_the_spawn) {
  run([] {
    std::fesetround(FE_DOWNWARD);
    auto downward = spawn([] {
      EXPECT_EQ(std::fegetround(), FE_DOWNWARD);
      yield();
      EXPECT_EQ(std::fegetround(), FE_DOWNWARD);
    });
    std::fesetround(FE_TONEAREST);
    auto nearest = spawn([] { EXPECT_EQ(std::fegetround(), FE_TONEAREST); });

    downward.join();
    nearest.join();

    EXPECT_EQ(std::fegetround(), FE_TONEAREST);
  });
}

TEST_F(ContextFloatingPoint, every_rounding_mode_lives_beside_the_others) {
  run([] {
    std::vector<weft::fiber<>> fibers;
    for (const int mode : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO, FE_TONEAREST}) {
      for (int i = 0; i < 5; ++i) {
        fibers.push_back(spawn([mode] {
          std::fesetround(mode);
          for (int turn = 0; turn < 50; ++turn) {
            yield();
            EXPECT_EQ(std::fegetround(), mode);
          }
        }));
      }
    }
    for (auto& each : fibers) each.join();
  });
}

TEST_F(ContextFloatingPoint, the_rounding_mode_survives_a_sleep) {
  run([] {
    auto upward = spawn([] {
      std::fesetround(FE_UPWARD);
      weft::this_fiber::sleep_for(std::chrono::milliseconds(1));
      EXPECT_EQ(std::fegetround(), FE_UPWARD);
    });

    weft::this_fiber::sleep_for(std::chrono::milliseconds(2));
    EXPECT_EQ(std::fegetround(), FE_TONEAREST);
    upward.join();
  });
}

#ifdef __x86_64__

constexpr std::uint32_t flush_to_zero = 0x8000;
constexpr std::uint32_t denormals_are_zero = 0x0040;

std::uint32_t mxcsr() {
  std::uint32_t value = 0;
  asm volatile("stmxcsr %0" : "=m"(value));
  return value;
}

void set_mxcsr(std::uint32_t value) { asm volatile("ldmxcsr %0" : : "m"(value)); }

std::uint16_t x87_control() {
  std::uint16_t value = 0;
  asm volatile("fnstcw %0" : "=m"(value));
  return value;
}

void set_x87_control(std::uint16_t value) { asm volatile("fldcw %0" : : "m"(value)); }

TEST_F(ContextFloatingPoint, flush_to_zero_belongs_to_the_fiber_that_sets_it) {
  run([] {
    constexpr std::uint32_t both = flush_to_zero | denormals_are_zero;
    bool stop = false;
    auto flushing = spawn([&] {
      set_mxcsr(mxcsr() | both);
      while (!stop) {
        yield();
        EXPECT_EQ(mxcsr() & both, both);
        volatile double tiny = 1e-310;
        EXPECT_EQ(tiny * 1.0, 0.0);
      }
    });

    for (int i = 0; i < 100; ++i) {
      yield();
      EXPECT_EQ(mxcsr() & both, 0u);
      volatile double tiny = 1e-310;
      EXPECT_GT(tiny * 1.0, 0.0);
    }
    stop = true;
    flushing.join();
  });
}

TEST_F(ContextFloatingPoint, the_precision_of_the_x87_belongs_to_the_fiber_that_sets_it) {
  run([] {
    const std::uint16_t extended = x87_control();
    const auto single = static_cast<std::uint16_t>(extended & ~0x0300u);
    bool stop = false;
    auto short_one = spawn([&] {
      set_x87_control(single);
      while (!stop) {
        yield();
        EXPECT_EQ(x87_control(), single);
      }
    });

    for (int i = 0; i < 100; ++i) {
      yield();
      EXPECT_EQ(x87_control(), extended);
    }
    stop = true;
    short_one.join();
  });
}

TEST_F(ContextFloatingPoint, inexact_results_of_one_fiber_do_not_trap_in_another) {
  run([] {
    auto exact = spawn([] {
      for (int i = 0; i < 100; ++i) yield();
    });
    auto inexact = spawn([] {
      double sum = 0;
      for (int i = 0; i < 100; ++i) {
        sum += third();
        yield();
      }
      EXPECT_NEAR(sum, 100.0 / 3, 1e-9);
    });

    exact.join();
    inexact.join();
  });
}

#endif

}  // namespace
