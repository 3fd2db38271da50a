// Traps of floating-point arithmetic: a fiber that has them on gets those of its own operations and
// of no other's; one that has them off gets none. (That control words belong to a fiber:
// context_floating_point_test in test/fiber.)
#include <cfenv>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <sys/wait.h>

#include <gtest/gtest.h>

#include <weft/co.hpp>
#include <weft/fiber.hpp>

#include "support/runtime_fixture.hpp"

namespace {

using weft::spawn;
using weft::this_fiber::yield;

#ifdef __x86_64__

using weft::test::under_asan;
using weft::test::under_tsan;

class FloatingPointTraps : public weft::test::runtime_test {
protected:
  void TearDown() override {
    std::fesetenv(FE_DFL_ENV);
    runtime_test::TearDown();
  }
};

using FloatingPointTrapsDeath = FloatingPointTraps;

constexpr int turns = 10;

// By SIGFPE; the sanitizers report it and exit.
bool ends_by_trap(int status) {
  if (WIFSIGNALED(status)) return WTERMSIG(status) == SIGFPE;
  return (under_asan || under_tsan) && WIFEXITED(status) && WEXITSTATUS(status) != 0;
}

// At run time, in the registers of SSE for double and of the x87 for long double.
template <class Number>
[[gnu::noinline]] Number divide(Number dividend, Number divisor) {
  volatile Number above = dividend;
  volatile Number below = divisor;
  return above / below;
}

template <class Number>
void divide_by_zero_beside_one_that_traps() {
  bool has_divided = false;
  auto trapping = spawn([&] {
    ::feenableexcept(FE_DIVBYZERO);
    for (int i = 0; i < turns; ++i) {
      yield();
      EXPECT_EQ(divide<Number>(6, 3), Number{2});
      EXPECT_EQ(::fegetexcept(), FE_DIVBYZERO);
    }
    EXPECT_TRUE(has_divided);
  });
  auto dividing = spawn([&] {
    for (int i = 0; i < turns; ++i) {
      EXPECT_TRUE(std::isinf(divide<Number>(1, 0)));
      has_divided = true;
      yield();
      EXPECT_EQ(::fegetexcept(), 0);
    }
  });
  trapping.join();
  dividing.join();
}

TEST_F(FloatingPointTraps, of_one_fiber_are_not_sprung_by_another) {
  run(divide_by_zero_beside_one_that_traps<double>);
}

// A control word that unmasks what the status word has noted raises it at the next instruction
// (Intel SDM, FLDCW).
TEST_F(FloatingPointTraps, of_one_fiber_are_not_sprung_by_what_another_has_left_in_the_x87) {
  run(divide_by_zero_beside_one_that_traps<long double>);
}

TEST_F(FloatingPointTraps, of_the_main_fiber_are_not_sprung_by_one_that_ends) {
  run([] {
    for (int i = 0; i < turns; ++i) {
      auto dividing = spawn([] {
        std::fesetenv(FE_DFL_ENV);
        EXPECT_TRUE(std::isinf(divide<long double>(1, 0)));
        EXPECT_TRUE(std::isinf(divide<double>(1, 0)));
      });
      ::feenableexcept(FE_DIVBYZERO);
      dividing.join();
      EXPECT_EQ(divide<long double>(6, 3), 2.0L);
      ::fedisableexcept(FE_DIVBYZERO);
    }
  });
}

// The traps of a fiber that blocks in the middle of a computation are there when it goes on.
TEST_F(FloatingPointTrapsDeath, are_sprung_after_a_wait) {
  EXPECT_EXIT(
      {
        enter_death_test();
        run([] {
          spawn([] {
            ::feenableexcept(FE_DIVBYZERO);
            auto other = spawn([] { std::fesetenv(FE_DFL_ENV); });
            other.join();
            if (divide<double>(1, 0) > 0) std::_Exit(0);
          }).join();
        });
      },
      ends_by_trap, "");
}

// What an operation has noted may be lost in a wait, or be another's: whoever looks for it looks
// before the wait. Rounding and masks are a fiber's own.
TEST_F(FloatingPointTraps, notes_are_there_until_the_next_wait) {
  run([] {
    auto other = spawn([] {
      for (int i = 0; i < turns; ++i) {
        EXPECT_TRUE(std::isinf(divide<double>(1, 0)));
        yield();
      }
    });
    for (int i = 0; i < turns; ++i) {
      std::feclearexcept(FE_ALL_EXCEPT);
      EXPECT_GT(divide<double>(1, 3), 0.3);
      EXPECT_EQ(std::fetestexcept(FE_INEXACT | FE_DIVBYZERO), FE_INEXACT);
      yield();
    }
    other.join();
  });
}

TEST_F(FloatingPointTraps, of_a_fiber_are_not_sprung_by_a_coroutine_nor_the_other_way_round) {
  run([] {
    auto trapping = spawn([] {
      ::feenableexcept(FE_DIVBYZERO);
      for (int i = 0; i < turns; ++i) {
        yield();
        EXPECT_EQ(divide<long double>(6, 3), 2.0L);
        EXPECT_EQ(divide<double>(6, 3), 2.0);
      }
    });
    auto dividing = weft::co::spawn([]() -> weft::co::task<> {
      for (int i = 0; i < turns; ++i) {
        EXPECT_TRUE(std::isinf(divide<long double>(1, 0)));
        EXPECT_TRUE(std::isinf(divide<double>(1, 0)));
        co_await weft::co::yield();
      }
    });
    trapping.join();
    dividing.join();
  });
}

#endif

}  // namespace
