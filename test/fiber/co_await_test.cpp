// What a coroutine of weft may await, what its frames tell while it does, and what it finds.
#include <array>
#include <cfenv>
#include <chrono>
#include <coroutine>
#include <string>
#include <unistd.h>
#include <utility>

#include <gtest/gtest.h>

#include <weft/co.hpp>
#include <weft/fiber/testing.hpp>

#include "support/runtime_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using weft::co::block_on;
using weft::co::spawn;
using weft::co::task;
using weft::detail::awaitable;
using weft::detail::is_ours;

class CoAwait : public weft::test::runtime_test {};

// With a name of its own what is handed to a co_await goes once; without, g++ 12 destroys it twice
// (see co/task.hpp).
struct message {
  std::string text;
  int number;
};

const std::string long_text(100, 'x');

task<std::size_t> length_of(message taken) {
  co_await weft::co::yield();
  co_return taken.text.size();
}

using waiting = decltype(std::declval<weft::event&>().co_wait());
using receiving = decltype(std::declval<weft::channel<int>&>().co_receive());
using stepping = decltype(std::declval<weft::co::async_generator<int>&>().next());
using joining = decltype(std::declval<weft::task_group&>().co_join());

static_assert(awaitable<task<int>> && awaitable<waiting> && awaitable<receiving> &&
              awaitable<stepping> && awaitable<joining> && awaitable<decltype(weft::co::yield())>);
static_assert(!awaitable<task<int>&> && !awaitable<waiting&> && !awaitable<receiving&> &&
                  !awaitable<stepping&>,
              "what has a name would be awaited twice");
static_assert(!is_ours<std::suspend_always> && !is_ours<std::suspend_never> && !is_ours<int>);

struct of_another_library {
  bool await_ready() const noexcept { return true; }

  void await_suspend(std::coroutine_handle<>) const noexcept {}

  void await_resume() const noexcept {}
};

static_assert(!is_ours<of_another_library> && !awaitable<of_another_library>);

// ---- the dump ----------------------------------------------------------------------------------

task<> wait_for(weft::event& awaited) { co_await awaited.co_wait(); }

task<> block_for(weft::event& awaited) {
  awaited.wait();
  co_return;
}

task<> block_inside(weft::event& awaited) {
  co_await weft::co::yield();
  co_await block_for(awaited);
}

template <class Start>
std::string dump_while_it_waits(Start&& start) {
  int ends[2];
  if (::pipe(ends) != 0) return {};
  weft::run([&] {
    weft::event happened;
    auto waiter = start(happened);
    weft::testing::all_blocked();
    weft::dump(ends[1]);
    happened.set();
    waiter.join();
  });
  ::close(ends[1]);
  std::array<char, 4096> text{};
  const auto size = ::read(ends[0], text.data(), text.size());
  ::close(ends[0]);
  return {text.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

TEST_F(CoAwait, an_aggregate_with_a_name_is_handed_over) {
  block_on([]() -> task<> {
    weft::channel<message> messages{1};
    message mine{long_text, 1};
    co_await messages.co_send(std::move(mine));
    const auto received = co_await messages.co_receive();
    EXPECT_EQ(received->text, long_text);

    message another{long_text, 2};
    EXPECT_EQ(co_await length_of(std::move(another)), long_text.size());
  }());
}

TEST_F(CoAwait, a_lambda_with_a_name_that_captures_by_value_is_handed_over) {
  block_on([]() -> task<> {
    auto ask = [text = long_text]() -> task<std::size_t> {
      co_await weft::co::yield();
      co_return text.size();
    };
    EXPECT_EQ(co_await weft::co::with_timeout(1h, std::move(ask)), long_text.size());

    std::size_t length = 0;
    auto fill = [&length, text = long_text](weft::task_group& group) -> task<> {
      group.spawn([&length, text] { length = text.size(); });
      co_return;
    };
    co_await weft::co::with_task_group(std::move(fill));
    EXPECT_EQ(length, long_text.size());

    weft::mutex lock;
    weft::condition_variable changed;
    auto held = co_await lock.co_scoped_lock();
    auto holds = [text = long_text] { return !text.empty(); };
    co_await changed.co_wait(held, std::move(holds));
  }());
}

TEST_F(CoAwait, of_a_fiber_in_block_on_the_dump_says_where_it_awaits) {
  const std::string dump = dump_while_it_waits(
      [](weft::event& happened) { return weft::spawn([&] { block_on(wait_for(happened)); }); });

  EXPECT_NE(dump.find("    awaits at "), std::string::npos) << dump;
}

TEST_F(CoAwait, of_a_coroutine_that_blocks_the_dump_says_in_what) {
  const std::string dump =
      dump_while_it_waits([](weft::event& happened) { return spawn(block_inside(happened)); });

  const auto first = dump.find("    is in a call; it awaited or began at ");
  ASSERT_NE(first, std::string::npos) << dump;
  EXPECT_NE(dump.find("    awaits at ", first), std::string::npos) << dump;
}

task<> block_on_inside(weft::event& awaited) {
  co_await weft::co::yield();
  block_on(wait_for(awaited));
}

TEST_F(CoAwait, of_a_coroutine_in_block_on_the_dump_says_where_that_awaits) {
  const std::string dump =
      dump_while_it_waits([](weft::event& happened) { return spawn(block_on_inside(happened)); });

  EXPECT_NE(dump.find("    awaits at "), std::string::npos) << dump;
  EXPECT_EQ(dump.find("is in a call"), std::string::npos) << dump;
}

TEST_F(CoAwait, of_a_fiber_whose_coroutine_blocks_the_dump_says_in_what) {
  const std::string dump = dump_while_it_waits(
      [](weft::event& happened) { return weft::spawn([&] { block_on(block_inside(happened)); }); });

  EXPECT_NE(dump.find("    is in a call; it awaited or began at "), std::string::npos) << dump;
}

// ---- the floating-point control ----------------------------------------------------------------

TEST_F(CoAwait, a_coroutine_begins_without_the_rounding_mode_of_the_fiber_before_it) {
  run([] {
    auto before = weft::spawn([] { std::fesetround(FE_UPWARD); });
    auto after = spawn([]() -> task<> {
      EXPECT_EQ(std::fegetround(), FE_TONEAREST);
      co_await weft::co::yield();
      EXPECT_EQ(std::fegetround(), FE_TONEAREST);
    });
    before.join();
    after.join();
  });
}

TEST_F(CoAwait, a_coroutine_goes_on_without_the_rounding_mode_of_a_fiber_that_has_ended) {
  run([] {
    weft::event go;
    auto waiter = spawn([&]() -> task<> {
      co_await go.co_wait();
      EXPECT_EQ(std::fegetround(), FE_TONEAREST);
    });
    weft::testing::all_blocked();
    auto before = weft::spawn([&] {
      std::fesetround(FE_UPWARD);
      go.set();
    });
    before.join();
    waiter.join();
  });
}

TEST_F(CoAwait, a_coroutine_begins_without_the_rounding_mode_of_another) {
  run([] {
    auto one = spawn([]() -> task<> {
      std::fesetround(FE_UPWARD);
      co_return;
    });
    auto two = spawn([]() -> task<> {
      EXPECT_EQ(std::fegetround(), FE_TONEAREST);
      co_return;
    });
    one.join();
    two.join();
    std::fesetround(FE_TONEAREST);
  });
}

}  // namespace
