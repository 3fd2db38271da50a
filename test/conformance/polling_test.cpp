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
struct things {
  weft::channel<int> channel;
  weft::event event;
  weft::semaphore semaphore{0};
  weft::mutex held;
  weft::mutex free;
  weft::condition_variable condition;
};

using named_poll = std::pair<std::string, std::function<bool(things&)>>;

const std::vector<named_poll>& polls() {
  static const std::vector<named_poll> all{
      {"send", [](things& of) { return of.channel.send_for(1, 0s); }},
      {"receive", [](things& of) { return of.channel.receive_for(0s).has_value(); }},
      {"event", [](things& of) { return of.event.wait_for(0s); }},
      {"acquire", [](things& of) { return of.semaphore.try_acquire_for(0s); }},
      {"lock", [](things& of) { return of.held.try_lock_for(0s); }},
      {"condition",
       [](things& of) {
         std::unique_lock lock{of.free};
         return of.condition.wait_for(lock, 0s, [] { return false; });
       }},
  };
  return all;
}

TYPED_TEST(Polling, that_is_cancelled_ends_with_cancelled) {
  this->run([] {
    things of;
    const std::lock_guard hold{of.held};
    for (const auto& [name, poll] : polls()) {
      std::atomic<bool> begun = false;
      std::error_code seen;
      typename TestFixture::task polling{[&, &poll = poll] {
        try {
          while (!poll(of)) begun = true;
        } catch (const std::system_error& error) {
          seen = error.code();
        }
      }};
      while (!begun) weft::this_fiber::yield();

      polling.request_cancel();
      polling.join();

      EXPECT_EQ(seen, weft::errc::cancelled) << name;
    }
  });
}

}  // namespace
