// A timeout that expires leads its task out of every wait that throws, whatever else the wait would
// have returned for a deadline of its own.
#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>

#include "conformance/modes.hpp"

namespace {

using namespace std::chrono_literals;
using namespace weft::test;

template <class Mode>
class ScopeExpiry : public conformance<Mode> {};

TYPED_TEST_SUITE(ScopeExpiry, modes, mode_names);

// Something of each kind to wait for, that does not come.
template <class Mode>
struct things {
  using lock_type = std::unique_lock<typename Mode::mutex>;

  typename Mode::template channel<int> channel;
  typename Mode::event event;
  typename Mode::semaphore semaphore{0};
  typename Mode::mutex mutex;
  typename Mode::condition_variable condition;

  // Calls `wait` with a lock of the mutex.
  void locked(const std::function<void(lock_type&)>& wait) {
    std::unique_lock lock{mutex};
    wait(lock);
    ADD_FAILURE() << "returned";
  }
};

constexpr auto never = [] { return false; };

template <class Mode>
using named_wait = std::pair<std::string, std::function<void(things<Mode>&)>>;

template <class Mode>
std::vector<named_wait<Mode>> waits_without_end() {
  using things = things<Mode>;
  return {
      {"send", [](things& of) { of.channel.send(1); }},
      {"receive", [](things& of) { of.channel.receive(); }},
      {"event", [](things& of) { of.event.wait(); }},
      {"acquire", [](things& of) { of.semaphore.acquire(); }},
      {"condition", [](things& of) { of.locked([&](auto& lock) { of.condition.wait(lock); }); }},
      {"condition and predicate",
       [](things& of) { of.locked([&](auto& lock) { of.condition.wait(lock, never); }); }},
      {"sleep", [](things&) { Mode::sleep_for(weft::clock::duration::max()); }},
  };
}

template <class Mode>
std::vector<named_wait<Mode>> waits_of_an_hour() {
  using things = things<Mode>;
  return {
      {"send_for", [](things& of) { of.channel.send_for(1, 1h); }},
      {"receive_for", [](things& of) { of.channel.receive_for(1h); }},
      {"event", [](things& of) { of.event.wait_for(1h); }},
      {"try_acquire_for", [](things& of) { of.semaphore.try_acquire_for(1h); }},
      {"condition",
       [](things& of) { of.locked([&](auto& lock) { of.condition.wait_for(lock, 1h); }); }},
      {"condition and predicate",
       [](things& of) { of.locked([&](auto& lock) { of.condition.wait_for(lock, 1h, never); }); }},
  };
}

// Of a wait that throws errc::timed_out.
template <class Mode>
void expect_timed_out(const named_wait<Mode>& wait, things<Mode>& of) {
  std::optional<std::error_code> thrown;
  try {
    wait.second(of);
  } catch (const std::system_error& error) {
    thrown = error.code();
  }
  ASSERT_TRUE(thrown) << wait.first << " returned";
  EXPECT_EQ(*thrown, weft::errc::timed_out) << wait.first;
}

template <class Mode>
void expect_expiry_is_thrown(const std::vector<named_wait<Mode>>& waits) {
  things<Mode> of;
  for (const auto& each : waits) {
    const weft::timeout limit{2ms};
    expect_timed_out(each, of);
    expect_timed_out(each, of);  // expired before it began
  }
}

TYPED_TEST(ScopeExpiry, is_thrown_by_waits_without_a_deadline_of_their_own) {
  this->run([] { expect_expiry_is_thrown(waits_without_end<TypeParam>()); });
}

TYPED_TEST(ScopeExpiry, is_thrown_by_waits_with_a_later_deadline_of_their_own) {
  this->run([] { expect_expiry_is_thrown(waits_of_an_hour<TypeParam>()); });
}

TYPED_TEST(ScopeExpiry, is_thrown_by_a_timed_lock) {
  this->run([] {
    things<TypeParam> of;
    of.mutex.lock();
    typename TestFixture::task other{[&] {
      const weft::timeout limit{2ms};
      expect_timed_out<TypeParam>(
          {"try_lock_for", [](auto& locked) { locked.mutex.try_lock_for(1h); }}, of);
    }};
    other.join();
    of.mutex.unlock();
  });
}

TYPED_TEST(ScopeExpiry, is_not_taken_for_what_a_nearer_deadline_of_the_wait_returns) {
  this->run([] {
    things<TypeParam> of;
    const weft::timeout limit{1h};
    std::unique_lock lock{of.mutex};

    EXPECT_FALSE(of.channel.send_for(1, 1ms));
    EXPECT_FALSE(of.channel.receive_for(1ms));
    EXPECT_FALSE(of.event.wait_for(1ms));
    EXPECT_FALSE(of.semaphore.try_acquire_for(1ms));
    EXPECT_EQ(of.condition.wait_for(lock, 1ms), std::cv_status::timeout);
    EXPECT_FALSE(of.condition.wait_for(lock, 1ms, never));
  });
}

// The condition of this loop never becomes true.
TYPED_TEST(ScopeExpiry, ends_a_loop_of_short_waits) {
  this->run([] {
    things<TypeParam> of;
    EXPECT_FALSE(weft::move_on_after(5ms, [&] {
      while (!of.event.wait_for(1ms)) {
      }
    }));
    EXPECT_FALSE(weft::move_on_after(5ms, [&] { return of.channel.receive().has_value(); }));
  });
}

// A fiber learns it when its worker looks what is due: after 64 calls that do not wait.
TYPED_TEST(ScopeExpiry, is_noticed_by_a_task_that_computes_between_calls_which_need_not_wait) {
  this->run([] {
    typename TestFixture::semaphore free{1};
    const weft::timeout limit{1ms};
    const auto over = std::chrono::steady_clock::now() + 2ms;
    while (std::chrono::steady_clock::now() < over) {
    }

    std::error_code ec;
    int calls = 0;
    for (; !ec && calls < 1'000; ++calls) {
      free.acquire(ec);
      if (!ec) free.release();
    }

    EXPECT_EQ(ec, weft::errc::timed_out);
    EXPECT_LE(calls, 65);
  });
}

}  // namespace
