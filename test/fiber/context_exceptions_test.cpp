// The machine context and C++ exceptions: what is being handled or in flight belongs to a fiber,
// not to the thread (Itanium C++ ABI: Exception Handling, 2.2.2).
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>

#include "support/runtime_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using weft::spawn;
using weft::this_fiber::yield;

class ContextExceptions : public weft::test::runtime_test {};

TEST_F(ContextExceptions, a_fiber_that_yields_in_a_catch_block_rethrows_its_own) {
  run([] {
    std::vector<weft::fiber<>> fibers;
    for (int i = 0; i < 100; ++i) {
      fibers.push_back(spawn([i] {
        for (int turn = 0; turn < 20; ++turn) {
          const std::string mine = std::to_string(i) + "/" + std::to_string(turn);
          try {
            try {
              throw std::runtime_error(mine);
            } catch (...) {
              for (int n = 0; n < i % 5 + 1; ++n) yield();
              throw;
            }
          } catch (const std::runtime_error& error) {
            yield();
            EXPECT_EQ(error.what(), mine);
          }
        }
      }));
    }
    for (auto& each : fibers) each.join();
  });
}

TEST_F(ContextExceptions, nested_handlers_of_many_fibers_do_not_mix) {
  struct nest {
    static void go(int fiber, int depth) {
      try {
        throw fiber * 100 + depth;
      } catch (const int& number) {
        yield();
        if (depth > 0) go(fiber, depth - 1);
        yield();
        EXPECT_EQ(number, fiber * 100 + depth);
        try {
          throw;
        } catch (const int& again) {
          EXPECT_EQ(&again, &number);
        }
      }
    }
  };

  run([] {
    std::vector<weft::fiber<>> fibers;
    for (int i = 0; i < 20; ++i) fibers.push_back(spawn([i] { nest::go(i, 8); }));
    for (auto& each : fibers) each.join();
  });
}

TEST_F(ContextExceptions, a_fiber_that_starts_while_another_handles_an_exception_handles_none) {
  run([] {
    try {
      throw std::runtime_error("of main");
    } catch (...) {
      auto child = spawn([] { EXPECT_EQ(std::current_exception(), nullptr); });
      child.join();
      EXPECT_NE(std::current_exception(), nullptr);
    }
  });
}

TEST_F(ContextExceptions, a_fiber_that_ends_while_another_handles_an_exception_takes_none_along) {
  run([] {
    auto ending = spawn([] { yield(); });
    yield();
    try {
      throw std::runtime_error("of main");
    } catch (const std::runtime_error&) {
      ending.join();
      spawn([] {}).join();
      try {
        throw;
      } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(), "of main");
      }
    }
    EXPECT_EQ(std::current_exception(), nullptr);
  });
}

// Yields in its destructor, and notes how many exceptions were in flight before and after.
struct yielding_destructor {
  yielding_destructor(int& before, int& after) : before_(before), after_(after) {}

  yielding_destructor(const yielding_destructor&) = delete;
  yielding_destructor& operator=(const yielding_destructor&) = delete;

  ~yielding_destructor() {
    before_ = std::uncaught_exceptions();
    yield();
    weft::this_fiber::sleep_for(1ms);
    after_ = std::uncaught_exceptions();
  }

private:
  int& before_;
  int& after_;
};

TEST_F(ContextExceptions, the_exceptions_in_flight_are_counted_for_each_fiber) {
  run([] {
    int before = -1;
    int after = -1;
    std::vector<int> elsewhere;
    auto unwinding = spawn([&] {
      try {
        const yielding_destructor guard{before, after};
        throw std::runtime_error("in flight");
      } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(), "in flight");
      }
    });
    auto other = spawn([&] {
      for (int i = 0; i < 3; ++i) {
        elsewhere.push_back(std::uncaught_exceptions());
        yield();
      }
    });

    unwinding.join();
    other.join();

    EXPECT_EQ(before, 1);
    EXPECT_EQ(after, 1);
    EXPECT_EQ(elsewhere, (std::vector{0, 0, 0}));
    EXPECT_EQ(std::uncaught_exceptions(), 0);
  });
}

TEST_F(ContextExceptions, many_fibers_may_be_unwinding_at_once) {
  run([] {
    std::vector<weft::fiber<>> fibers;
    for (int i = 0; i < 100; ++i) {
      fibers.push_back(spawn([i] {
        int before = -1;
        int after = -1;
        try {
          const yielding_destructor first{before, after};
          const yielding_destructor second{before, after};
          throw i;
        } catch (const int number) {
          EXPECT_EQ(number, i);
        }
        EXPECT_EQ(before, 1);
        EXPECT_EQ(after, 1);
        EXPECT_EQ(std::uncaught_exceptions(), 0);
      }));
    }
    for (auto& each : fibers) each.join();
  });
}

TEST_F(ContextExceptions, an_exception_pointer_may_be_rethrown_on_another_fiber) {
  run([] {
    std::exception_ptr carried;
    spawn([&] {
      try {
        throw std::runtime_error("carried");
      } catch (...) {
        carried = std::current_exception();
      }
    }).join();

    auto other = spawn([&] {
      try {
        std::rethrow_exception(carried);
      } catch (const std::runtime_error& error) {
        yield();
        EXPECT_STREQ(error.what(), "carried");
      }
    });
    other.join();
  });
}

TEST_F(ContextExceptions, an_exception_that_leaves_a_fiber_leaves_nothing_in_its_successor) {
  run([] {
    for (int i = 0; i < 50; ++i) {
      auto failing = spawn([] { throw std::runtime_error("leaves"); });
      auto next = spawn([] {
        EXPECT_EQ(std::current_exception(), nullptr);
        EXPECT_EQ(std::uncaught_exceptions(), 0);
      });
      failing.join();
      next.join();
      EXPECT_THROW(failing.result(), std::runtime_error);
    }
  });
}

}  // namespace
