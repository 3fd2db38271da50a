// A fiber whose calls on what tasks share never park still lets the others run.
#include <chrono>
#include <cstddef>
#include <mutex>
#include <system_error>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>

#include "support/runtime_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using weft::spawn;
using weft::this_fiber::yield;

constexpr int calls = 1'000;

// The 64th gives way before it is made. A call that counts twice does so earlier.
constexpr int calls_at_most = 63;

class PrimitivesBudget : public weft::test::runtime_test {
protected:
  // Has a fiber make `call` again and again. Returns how many calls it has made when others run.
  template <class Call>
  static int calls_before_others(Call&& call) {
    int made = 0;
    auto busy = spawn([&] {
      for (; made < calls; ++made) call();
    });
    yield();
    const int seen = made;
    busy.join();
    EXPECT_EQ(made, calls);
    return seen;
  }
};

TEST_F(PrimitivesBudget, of_a_fiber_that_locks_a_free_mutex_ends_while_it_holds_nothing) {
  run([] {
    weft::mutex lock;
    int made = 0;
    const auto busy_with = [&](auto&& pair) {
      made = 0;
      return spawn([&made, pair] {
        for (; made < calls; ++made) pair();
      });
    };
    const auto expect_free_after_some = [&](weft::fiber<> busy) {
      yield();
      EXPECT_EQ(made, calls_at_most);
      EXPECT_TRUE(lock.try_lock()) << "gave way with the lock held";
      lock.unlock();
      busy.join();
    };

    expect_free_after_some(busy_with([&] { const std::lock_guard hold{lock}; }));
    expect_free_after_some(busy_with([&] {
      std::error_code ec;
      lock.lock(ec);
      lock.unlock();
    }));
    expect_free_after_some(busy_with([&] {
      EXPECT_TRUE(lock.try_lock());
      lock.unlock();
    }));
    expect_free_after_some(busy_with([&] {
      EXPECT_TRUE(lock.try_lock_for(1h));
      lock.unlock();
    }));
  });
}

TEST_F(PrimitivesBudget, of_a_fiber_that_tries_to_lock_a_held_mutex_ends) {
  run([] {
    weft::mutex lock;
    const std::lock_guard hold{lock};

    EXPECT_EQ(calls_before_others([&] { EXPECT_FALSE(lock.try_lock()); }), calls_at_most);
    EXPECT_LE(calls_before_others([&] { EXPECT_FALSE(lock.try_lock_for(0s)); }), calls_at_most);
  });
}

TEST_F(PrimitivesBudget, of_a_fiber_that_acquires_ends_before_it_takes) {
  run([] {
    weft::semaphore free{3 * calls};
    std::size_t left = 0;
    const auto acquire_all = [&](auto&& acquire) {
      left = free.available();
      auto busy = spawn([&free, acquire] {
        for (int i = 0; i < calls; ++i) acquire(free);
      });
      yield();
      EXPECT_EQ(left - free.available(), std::size_t{calls_at_most});
      busy.join();
    };

    acquire_all([](weft::semaphore& from) { EXPECT_TRUE(from.try_acquire()); });
    acquire_all([](weft::semaphore& from) { from.acquire(); });
    acquire_all([](weft::semaphore& from) { EXPECT_TRUE(from.try_acquire_for(1h)); });

    EXPECT_EQ(calls_before_others([&] { EXPECT_FALSE(free.try_acquire()); }), calls_at_most);
    EXPECT_LE(calls_before_others([&] { EXPECT_FALSE(free.try_acquire_for(0s)); }), calls_at_most);
  });
}

TEST_F(PrimitivesBudget, of_a_fiber_that_tries_to_send_and_to_receive_ends) {
  run([] {
    weft::channel<int> values{calls};

    EXPECT_EQ(calls_before_others([&] { EXPECT_TRUE(values.try_send(1)); }), calls_at_most);
    EXPECT_EQ(calls_before_others([&] { EXPECT_FALSE(values.try_send(1)); }), calls_at_most);
    EXPECT_EQ(calls_before_others([&] { EXPECT_TRUE(values.try_receive()); }), calls_at_most);
    EXPECT_EQ(calls_before_others([&] { EXPECT_FALSE(values.try_receive()); }), calls_at_most);
    EXPECT_LE(calls_before_others([&] { EXPECT_FALSE(values.receive_for(0s)); }), calls_at_most);
  });
}

TEST_F(PrimitivesBudget, of_a_fiber_that_goes_on_with_a_closed_channel_ends) {
  run([] {
    weft::channel<int> closed;
    closed.close();
    std::error_code ec;

    EXPECT_EQ(calls_before_others([&] { EXPECT_FALSE(closed.receive()); }), calls_at_most);
    EXPECT_EQ(calls_before_others([&] { closed.send(1, ec); }), calls_at_most);
    EXPECT_EQ(ec, weft::errc::closed);
  });
}

TEST_F(PrimitivesBudget, of_a_fiber_that_waits_for_what_has_happened_ends) {
  run([] {
    weft::event happened;

    EXPECT_LE(calls_before_others([&] { EXPECT_FALSE(happened.wait_for(0s)); }), calls_at_most);
    happened.set();
    EXPECT_EQ(calls_before_others([&] { happened.wait(); }), calls_at_most);
  });
}

TEST_F(PrimitivesBudget, of_a_fiber_that_looks_for_a_flag_under_a_mutex_ends_and_the_flag_is_set) {
  run([] {
    weft::mutex lock;
    bool flag = false;
    const auto flag_is_set = [&] {
      const std::lock_guard hold{lock};
      return flag;
    };
    auto setting = spawn([&] {
      const std::lock_guard hold{lock};
      flag = true;
    });

    int looks = 0;
    while (looks < calls && !flag_is_set()) ++looks;
    setting.join();

    EXPECT_LE(looks, calls_at_most);
  });
}

}  // namespace
