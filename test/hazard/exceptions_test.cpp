// Exceptions on several workers at once, inside each other, of many types, and in coroutines; what
// a single worker does with them is in context_exceptions_test and co_blocking_test of test/fiber.
#include <atomic>
#include <exception>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include <gtest/gtest.h>

#include <weft/co.hpp>
#include <weft/fiber.hpp>

#include "support/runtime_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using weft::spawn_on;
using weft::this_fiber::sleep_for;
using weft::this_fiber::yield;

constexpr unsigned workers = 4;
constexpr int fibers_a_worker = 100;
constexpr int rounds = 20;

class Exceptions : public weft::test::runtime_test {};

// A hundred tasks on each worker, each called with a number of its own.
template <class Function>
void on_all_workers(const Function& function) {
  std::vector<weft::fiber<>> all;
  for (int i = 0; i < fibers_a_worker * static_cast<int>(workers); ++i) {
    all.push_back(
        spawn_on(static_cast<unsigned>(i) % workers, [&function, i] { return function(i); }));
  }
  for (auto& each : all) {
    each.join();
    each.result();
  }
}

template <class Function>
void in_coroutines_on_all_workers(const Function& function) {
  std::vector<weft::fiber<>> all;
  for (int i = 0; i < fibers_a_worker * static_cast<int>(workers); ++i) {
    all.push_back(weft::co::spawn_on(static_cast<unsigned>(i) % workers,
                                     [&function, i] { return function(i); }));
  }
  for (auto& each : all) {
    each.join();
    each.result();
  }
}

// One of four types that have each other as a base, or nothing in common.
struct numbered : std::runtime_error {
  explicit numbered(int chosen) : runtime_error(std::to_string(chosen)), number(chosen) {}

  int number;
};

void throw_by_number(int number) {
  switch (number % 4) {
  case 0: throw numbered{number};
  case 1: throw std::runtime_error(std::to_string(number));
  case 2: throw std::system_error(number, std::system_category());
  default: throw number;
  }
}

// Throws on what is being handled, and expects that it is what throw_by_number() has thrown.
void expect_to_rethrow(int number) {
  try {
    throw;
  } catch (const numbered& error) {
    EXPECT_EQ(number % 4, 0);
    EXPECT_EQ(error.number, number);
  } catch (const std::system_error& error) {
    EXPECT_EQ(number % 4, 2);
    EXPECT_EQ(error.code().value(), number);
  } catch (const std::runtime_error& error) {
    EXPECT_EQ(number % 4, 1);
    EXPECT_EQ(error.what(), std::to_string(number));
  } catch (const int thrown) {
    EXPECT_EQ(number % 4, 3);
    EXPECT_EQ(thrown, number);
  }
}

void wait_somehow(int number) {
  if (number % 7 == 0) {
    sleep_for(1ms);
  } else {
    yield();
  }
}

TEST_F(Exceptions, of_each_type_are_thrown_on_after_a_wait_among_a_hundred_that_do_so_too) {
  run(
      [] {
        on_all_workers([](int i) {
          for (int round = 0; round < rounds; ++round) {
            try {
              throw_by_number(i + round);
            } catch (...) {
              wait_somehow(i + round);
              expect_to_rethrow(i + round);
              wait_somehow(i + round + 1);
              expect_to_rethrow(i + round);
            }
            EXPECT_EQ(std::current_exception(), nullptr);
          }
        });
      },
      {.workers = workers});
}

// ---- unwinding ---------------------------------------------------------------------------------

// In its destructor: waits, throws, catches and waits again, `depth` times inside each other.
class waits_while_unwinding {
public:
  explicit waits_while_unwinding(int depth) : depth_(depth) {}

  waits_while_unwinding(const waits_while_unwinding&) = delete;
  waits_while_unwinding& operator=(const waits_while_unwinding&) = delete;

  ~waits_while_unwinding() {
    const int in_flight = std::uncaught_exceptions();
    EXPECT_EQ(in_flight, expected());
    wait_somehow(depth_);
    EXPECT_EQ(std::uncaught_exceptions(), in_flight);
    if (depth_ == 0) return;
    try {
      const waits_while_unwinding inner{depth_ - 1};
      throw_by_number(depth_);
    } catch (...) {
      EXPECT_EQ(std::uncaught_exceptions(), in_flight);
      wait_somehow(depth_ + 1);
      expect_to_rethrow(depth_);
    }
    EXPECT_EQ(std::uncaught_exceptions(), in_flight);
  }

  static constexpr int deepest = 3;

private:
  int expected() const noexcept { return deepest - depth_ + 1; }

  int depth_;
};

void unwind_with_waits(int number) {
  for (int round = 0; round < rounds; ++round) {
    try {
      const waits_while_unwinding guard{waits_while_unwinding::deepest};
      throw_by_number(number + round);
    } catch (...) {
      EXPECT_EQ(std::uncaught_exceptions(), 0);
      wait_somehow(number);
      expect_to_rethrow(number + round);
    }
  }
}

TEST_F(Exceptions, in_flight_are_counted_before_and_after_waits_in_destructors_of_destructors) {
  run([] { on_all_workers(unwind_with_waits); }, {.workers = workers});
}

TEST_F(Exceptions, in_flight_are_counted_so_in_destructors_that_a_coroutine_calls) {
  run(
      [] {
        in_coroutines_on_all_workers([](int i) -> weft::co::task<> {
          unwind_with_waits(i);
          co_await weft::co::yield();
          unwind_with_waits(i);
        });
      },
      {.workers = workers});
}

TEST_F(Exceptions, in_flight_are_one_where_a_cancelled_wait_unwinds_and_waits_in_a_shield) {
  struct patient {
    int& seen;

    ~patient() {
      const weft::shield keep;
      EXPECT_EQ(std::uncaught_exceptions(), 1);
      sleep_for(1ms);
      yield();
      seen = std::uncaught_exceptions();
    }
  };

  run(
      [] {
        on_all_workers([](int i) {
          int seen = -1;
          auto child = weft::spawn([&] {
            const patient guard{seen};
            sleep_for(24h);
          });
          wait_somehow(i);
          child.request_cancel();
          child.join();
          // A fiber that was cancelled before it had begun has made no guard.
          EXPECT_TRUE(seen == 1 || (seen == -1 && i % 7 != 0)) << seen;
        });
      },
      {.workers = workers});
}

// ---- over to others ----------------------------------------------------------------------------

TEST_F(Exceptions, are_thrown_on_by_fibers_of_all_workers_at_once_from_one_pointer) {
  run(
      [] {
        for (int round = 0; round < 4; ++round) {
          std::exception_ptr shared;
          try {
            throw_by_number(round);
          } catch (...) {
            shared = std::current_exception();
          }
          on_all_workers([&](int i) {
            try {
              std::rethrow_exception(shared);
            } catch (...) {
              wait_somehow(i);
              expect_to_rethrow(round);
            }
          });
        }
      },
      {.workers = workers});
}

TEST_F(Exceptions, of_a_fiber_are_thrown_by_its_result_to_those_of_another_worker_that_throw_too) {
  run(
      [] {
        on_all_workers([](int i) {
          auto failing = spawn_on(static_cast<unsigned>(i + 1) % workers, [i] {
            wait_somehow(i);
            throw_by_number(i);
          });
          try {
            throw_by_number(i + 1);
          } catch (...) {
            failing.join();
            try {
              failing.result();
              ADD_FAILURE() << "the result of a fiber that has failed";
            } catch (...) {
              wait_somehow(i);
              expect_to_rethrow(i);
            }
            expect_to_rethrow(i + 1);
          }
        });
      },
      {.workers = workers});
}

// ---- coroutines --------------------------------------------------------------------------------

// Throws from so many coroutines deep, each of which has suspended.
weft::co::task<> throw_from(int depth, int number) {
  // Of the fiber that is in co::block_on, if it handles one.
  const std::exception_ptr handled = std::current_exception();
  co_await weft::co::yield();
  if (depth == 0) {
    throw_by_number(number);
    co_return;
  }
  std::exception_ptr failure;
  try {
    co_await throw_from(depth - 1, number);
  } catch (...) {
    failure = std::current_exception();
  }
  EXPECT_EQ(std::current_exception(), handled);
  co_await weft::co::sleep_for(1ms);
  EXPECT_EQ(std::current_exception(), handled);
  EXPECT_EQ(std::uncaught_exceptions(), 0);
  if (failure) std::rethrow_exception(failure);
}

TEST_F(Exceptions, pass_through_coroutines_that_suspend_on_the_way) {
  run(
      [] {
        in_coroutines_on_all_workers([](int i) -> weft::co::task<> {
          try {
            co_await throw_from(5, i);
            ADD_FAILURE() << "nothing was thrown";
          } catch (...) {
            expect_to_rethrow(i);
          }
        });
      },
      {.workers = workers});
}

// Fibers that handle exceptions and coroutines that go on meanwhile, on the same worker.
TEST_F(Exceptions, that_fibers_handle_are_none_of_a_coroutine_which_goes_on_meanwhile) {
  run(
      [] {
        std::atomic<int> handling = 0;
        weft::event all_have_looked;
        std::vector<weft::fiber<>> fibers;
        for (unsigned worker = 0; worker < workers; ++worker) {
          for (int i = 0; i < 20; ++i) {
            fibers.push_back(spawn_on(worker, [&, i] {
              try {
                throw_by_number(i);
              } catch (...) {
                ++handling;
                all_have_looked.wait();
                expect_to_rethrow(i);
              }
            }));
          }
        }
        while (handling != 20 * static_cast<int>(workers)) yield();
        in_coroutines_on_all_workers([](int i) -> weft::co::task<> {
          for (int round = 0; round < rounds; ++round) {
            EXPECT_EQ(std::current_exception(), nullptr);
            EXPECT_EQ(std::uncaught_exceptions(), 0);
            try {
              throw_by_number(i);
            } catch (...) {
              expect_to_rethrow(i);
            }
            co_await weft::co::yield();
          }
        });
        all_have_looked.set();
        for (auto& each : fibers) each.join();
      },
      {.workers = workers});
}

TEST_F(Exceptions, that_a_fiber_handles_are_its_own_across_a_coroutine_that_it_waits_for) {
  run(
      [] {
        on_all_workers([](int i) {
          try {
            throw_by_number(i);
          } catch (...) {
            try {
              weft::co::block_on(throw_from(3, i + 1));
              ADD_FAILURE() << "nothing was thrown";
            } catch (...) {
              expect_to_rethrow(i + 1);
            }
            expect_to_rethrow(i);
          }
          EXPECT_EQ(std::current_exception(), nullptr);
        });
      },
      {.workers = workers});
}

}  // namespace
