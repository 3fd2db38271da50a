// A task that polls, by waits with deadlines of their own, and is cancelled meanwhile: the wait
// that is over says so, and not that its time was.
#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
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
class Polling : public conformance<Mode> {};

TYPED_TEST_SUITE(Polling, modes, mode_names);

// Something of each kind to ask for, that does not come.
template <class Mode>
struct things {
  typename Mode::template channel<int> channel;
  typename Mode::event event;
  typename Mode::semaphore semaphore{0};
  typename Mode::mutex held;
  typename Mode::mutex free;
  typename Mode::condition_variable condition;
};

template <class Things>
using named_poll = std::pair<std::string, std::function<bool(Things&)>>;

template <class Things>
std::vector<named_poll<Things>> polls() {
  return {
      {"send", [](Things& of) { return of.channel.send_for(1, 0s); }},
      {"receive", [](Things& of) { return of.channel.receive_for(0s).has_value(); }},
      {"event", [](Things& of) { return of.event.wait_for(0s); }},
      {"acquire", [](Things& of) { return of.semaphore.try_acquire_for(0s); }},
      {"lock", [](Things& of) { return of.held.try_lock_for(0s); }},
      {"condition",
       [](Things& of) {
         std::unique_lock lock{of.free};
         return of.condition.wait_for(lock, 0s, [] { return false; });
       }},
  };
}

TYPED_TEST(Polling, that_is_cancelled_ends_with_cancelled) {
  this->run([] {
    things<TypeParam> of;
    const std::lock_guard hold{of.held};
    for (const auto& [name, poll] : polls<things<TypeParam>>()) {
      std::atomic<bool> begun = false;
      std::error_code seen;
      typename TestFixture::task polling{[&, &poll = poll] {
        try {
          while (!poll(of)) begun = true;
        } catch (const std::system_error& error) {
          seen = error.code();
        }
      }};
      while (!begun) TypeParam::yield();

      polling.request_cancel();
      polling.join();

      EXPECT_EQ(seen, weft::errc::cancelled) << name;
    }
  });
}

}  // namespace
