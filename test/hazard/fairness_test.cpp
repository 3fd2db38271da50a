// Who never waits starves nobody, counted in its own turns: in how many of them a timer that is
// due, a byte that has come, what another thread has posted and Ctrl-C reach those who wait for
// them.
#include <array>
#include <csignal>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include <weft/co.hpp>
#include <weft/net.hpp>

#include "net/net_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using namespace weft::test;
using weft::net::socket;
using weft::this_fiber::yield;

// ---- those who never wait ----------------------------------------------------------------------

// Calls `each_turn()` between its calls, until that says that it is enough.
using each_turn = std::function<bool()>;

struct hog {
  const char* name;
  // Returns the tasks.
  std::vector<weft::fiber<>> (*spawn)(const each_turn& goes_on);
};

// NOLINTNEXTLINE(readability-identifier-naming): GoogleTest calls it so
void PrintTo(const hog& each, std::ostream* out) { *out << each.name; }

std::vector<weft::fiber<>> spawn_yielding(const each_turn& goes_on) {
  std::vector<weft::fiber<>> made;
  made.push_back(weft::spawn([&goes_on] {
    while (goes_on()) yield();
  }));
  return made;
}

std::vector<weft::fiber<>> spawn_yielding_coroutine(const each_turn& goes_on) {
  std::vector<weft::fiber<>> made;
  made.push_back(weft::co::spawn([&goes_on]() -> weft::co::task<> {
    while (goes_on()) co_await weft::co::yield();
  }));
  return made;
}

// What it reads is always there.
std::vector<weft::fiber<>> spawn_reading(const each_turn& goes_on) {
  std::vector<weft::fiber<>> made;
  made.push_back(weft::spawn([&goes_on] {
    auto [left, right] = weft_unix_pair();
    while (goes_on()) {
      left.write("x");
      EXPECT_EQ(read_some_text(right), "x");
    }
  }));
  return made;
}

std::vector<weft::fiber<>> spawn_reading_coroutine(const each_turn& goes_on) {
  std::vector<weft::fiber<>> made;
  made.push_back(weft::co::spawn([&goes_on]() -> weft::co::task<> {
    auto [left, right] = weft_unix_pair();
    std::array<std::byte, 8> buffer;
    while (goes_on()) {
      co_await left.co_write("x");
      const std::size_t count = co_await right.co_read_some(buffer);
      EXPECT_EQ(count, 1u);
    }
  }));
  return made;
}

// One of the two is always ready.
template <std::size_t Capacity>
std::vector<weft::fiber<>> spawn_channel_pair(const each_turn& goes_on) {
  const auto numbers = std::make_shared<weft::channel<int>>(Capacity);
  std::vector<weft::fiber<>> made;
  made.push_back(weft::spawn([numbers, &goes_on] {
    while (goes_on()) numbers->send(1);
    numbers->close();
  }));
  made.push_back(weft::spawn([numbers] {
    while (numbers->receive()) {
    }
  }));
  return made;
}

std::vector<weft::fiber<>> spawn_coroutine_pair(const each_turn& goes_on) {
  const auto numbers = std::make_shared<weft::channel<int>>(0);
  std::vector<weft::fiber<>> made;
  made.push_back(weft::co::spawn([numbers, &goes_on]() -> weft::co::task<> {
    while (goes_on()) co_await numbers->co_send(1);
    numbers->close();
  }));
  made.push_back(weft::co::spawn([numbers]() -> weft::co::task<> {
    while (co_await numbers->co_receive()) {
    }
  }));
  return made;
}

// Each waits for the other one's unlock.
std::vector<weft::fiber<>> spawn_ping_pong(const each_turn& goes_on) {
  struct table {
    weft::mutex lock;
    bool over = false;
  };

  const auto shared = std::make_shared<table>();
  std::vector<weft::fiber<>> made;
  made.push_back(weft::spawn([shared, &goes_on] {
    while (goes_on()) {
      const std::lock_guard hold{shared->lock};
      yield();
    }
    shared->over = true;
  }));
  made.push_back(weft::spawn([shared] {
    while (!shared->over) {
      const std::lock_guard hold{shared->lock};
      yield();
    }
  }));
  return made;
}

constexpr std::array hogs{
    hog{"fiber_that_yields", spawn_yielding},
    hog{"coroutine_that_yields", spawn_yielding_coroutine},
    hog{"fiber_that_reads", spawn_reading},
    hog{"coroutine_that_reads", spawn_reading_coroutine},
    hog{"pair_with_an_unbuffered_channel", spawn_channel_pair<0>},
    hog{"pair_with_a_buffered_channel", spawn_channel_pair<16>},
    hog{"coroutines_with_a_channel", spawn_coroutine_pair},
    hog{"ping_pong_of_a_mutex", spawn_ping_pong},
};

// ---- what must come through --------------------------------------------------------------------

enum class event_kind { timer, scope, bytes, post, stop };

constexpr std::array all_events{event_kind::timer, event_kind::scope, event_kind::bytes,
                                event_kind::post, event_kind::stop};

std::string name_of(event_kind kind) {
  switch (kind) {
  case event_kind::timer: return "a_timer";
  case event_kind::scope: return "a_timeout";
  case event_kind::bytes: return "bytes_for_others";
  case event_kind::post: return "a_post";
  default: return "a_request_to_stop";
  }
}

using Case = std::tuple<hog, event_kind>;

class Fairness : public runtime_test, public testing::WithParamInterface<Case> {};

std::string name_of_case(const testing::TestParamInfo<Case>& info) {
  return std::string{std::get<0>(info.param).name} + "_lets_through_" +
         name_of(std::get<1>(info.param));
}

INSTANTIATE_TEST_SUITE_P(Hogs, Fairness,
                         testing::Combine(testing::ValuesIn(hogs), testing::ValuesIn(all_events)),
                         name_of_case);

// The driver, the timers and the inbox are looked at every 61 picks, and whoever makes 64 calls
// that need not wait gives way; then those that were ready before have their turns.
constexpr int turns_at_most = 2 * 61 * 64;

// Has one kind of event happen while a hog runs, and counts the turns of that until it is known.
class trial {
public:
  trial(weft::runtime& instance, weft::testing::virtual_clock& time, event_kind kind)
      : instance_(instance), time_(time), kind_(kind) {}

  // By the main fiber.
  void run(const hog& greedy) {
    auto tasks = greedy.spawn(goes_on_);
    wait_for_it();
    const weft::shield keep;  // from the request to stop
    for (auto& each : tasks) {
      each.join();
      each.result();
    }
    EXPECT_TRUE(reached_) << "not in " << turns_ << " turns";
  }

private:
  void wait_for_it() {
    std::error_code ec;
    switch (kind_) {
    case event_kind::timer: weft::this_fiber::sleep_for(1ms, ec); break;
    case event_kind::scope: {
      const weft::timeout limit{1ms};
      given_up_.wait(ec);
      break;
    }
    case event_kind::bytes: read_some_text(sockets_.ours, 8, ec); break;
    case event_kind::post: posted_.wait(ec); break;
    case event_kind::stop: given_up_.wait(ec); break;
    }
    const bool in_time = turns_ <= turns_at_most;
    reached_ = in_time && ec == expected();
    over_ = true;
  }

  std::error_code expected() const {
    if (kind_ == event_kind::scope) return weft::errc::timed_out;
    if (kind_ == event_kind::stop) return weft::errc::cancelled;
    return {};
  }

  // Of the hog. False once the news has come through, or has not for too long.
  bool count_turn() {
    constexpr int warm = 1'000;
    if (++calls_ < warm) return true;
    if (calls_ == warm) happen();
    if (++turns_ > turns_at_most) give_up();
    return !over_ && turns_ <= turns_at_most;
  }

  // As somebody outside would have it happen.
  void happen() {
    switch (kind_) {
    case event_kind::timer:
    case event_kind::scope: return time_.advance(5ms);
    case event_kind::bytes: return send_all(sockets_.peer, "news");
    case event_kind::post:
      return std::thread{[this] { instance_.post([this] { posted_.set(); }); }}.join();
    case event_kind::stop: return std::thread{[this] { instance_.request_stop(); }}.join();
    }
  }

  // Ends the wait that nothing has ended in time.
  void give_up() {
    given_up_.set();
    posted_.set();
    sockets_.ours.close();
    time_.advance(5ms);
  }

  weft::runtime& instance_;
  weft::testing::virtual_clock& time_;
  const event_kind kind_;
  const each_turn goes_on_ = [this] { return count_turn(); };
  plain_pair sockets_ = unix_pair();
  weft::event posted_;
  weft::event given_up_;
  int calls_ = 0;
  int turns_ = 0;
  bool over_ = false;
  bool reached_ = false;
};

TEST_P(Fairness, is_counted_in_turns) {
  const auto& [greedy, kind] = GetParam();
  weft::testing::virtual_clock time{weft::testing::time_moves::by_hand};
  weft::runtime instance{{.clock = &time}};
  instance.run([&, &greedy = greedy, &kind = kind] { trial{instance, time, kind}.run(greedy); });
}

// ---- floods ------------------------------------------------------------------------------------

// Sleepers that are all due again at each turn of the main fiber, connections on which something
// goes there and back all the time, and posts of another thread.
class floods {
public:
  explicit floods(weft::runtime& instance) : instance_(instance) {
    for (int i = 0; i < sleepers; ++i) tasks_.push_back(weft::spawn([this] { sleep_on(); }));
    for (int i = 0; i < connections; ++i) {
      pairs_.push_back(std::make_unique<socket_pair>(weft_unix_pair()));
      tasks_.push_back(weft::spawn([&s = pairs_.back()->right] { echo(s); }));
      tasks_.push_back(weft::spawn([this, &s = pairs_.back()->left] { ping(s); }));
    }
  }

  void post_some() {
    std::thread{[this] {
      for (int i = 0; i < posts; ++i) instance_.post([this] { ++posted; });
    }}.join();
  }

  void end(weft::testing::virtual_clock& time) {
    over_ = true;
    time.advance(1h);
    for (auto& each : tasks_) {
      each.join();
      each.result();
    }
  }

  static constexpr int sleepers = 300;
  static constexpr int connections = 20;
  static constexpr int posts = 100;

  int wakes = 0;
  int pings = 0;
  int posted = 0;

private:
  void sleep_on() {
    while (!over_) {
      weft::this_fiber::sleep_for(1ms);
      ++wakes;
    }
  }

  void ping(socket& connection) {
    while (!over_) {
      connection.write("x");
      EXPECT_EQ(read_some_text(connection), "x");
      ++pings;
    }
    connection.shutdown();
  }

  static void echo(socket& connection) {
    while (const auto data = connection.read_some_borrowed()) connection.write(data);
  }

  weft::runtime& instance_;
  std::vector<std::unique_ptr<socket_pair>> pairs_;
  std::vector<weft::fiber<>> tasks_;
  bool over_ = false;
};

class Floods : public runtime_test {};

TEST_F(Floods, of_timers_sockets_and_posts_leave_each_other_and_who_yields_their_turns) {
  weft::testing::virtual_clock time{weft::testing::time_moves::by_hand};
  weft::runtime instance{{.clock = &time}};
  instance.run([&] {
    floods all{instance};
    constexpr int laps = 400;
    constexpr int laps_a_flood = 20;
    for (int lap = 0; lap < laps; ++lap) {
      if (lap % laps_a_flood == 0) {
        // All of the one before have had their turn.
        EXPECT_EQ(all.posted, lap / laps_a_flood * floods::posts);
        all.post_some();
      }
      time.advance(2ms);
      yield();
    }

    EXPECT_GE(all.wakes, floods::sleepers * laps / 4);
    EXPECT_GE(all.pings, floods::connections * laps / 8);
    // Nor have they had more than their own: in a lap each runs once.
    EXPECT_LE(all.wakes, floods::sleepers * (laps + 1));
    EXPECT_LE(all.pings, floods::connections * (laps + 1));
    all.end(time);
  });
}

}  // namespace
