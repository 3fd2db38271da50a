// What a dump tells of each fiber: what it waits for, since when, who has spawned it; on request,
// and on SIGQUIT.
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <pthread.h>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <weft/co.hpp>
#include <weft/fiber.hpp>
#include <weft/fiber/detail/composite_wait.hpp>
#include <weft/fiber/testing.hpp>

#include "players.hpp"
#include "support/runtime_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using testing::ContainsRegex;
using testing::HasSubstr;
using weft::spawn;
using weft::co::task;
using weft::testing::all_blocked;
using weft::this_fiber::sleep_for;

class Dump : public weft::test::runtime_test {
protected:
  static std::string text_of_dump() {
    std::FILE* const file = std::tmpfile();
    weft::dump(file);
    std::string text(static_cast<std::size_t>(std::ftell(file)), '\0');
    std::rewind(file);
    EXPECT_EQ(std::fread(text.data(), 1, text.size(), file), text.size());
    std::fclose(file);
    return text;
  }

  // What is said of a task that waits as `wait()` does, and one that runs what `co_wait()` returns.
  template <class Wait, class CoWait>
  std::string said_of(Wait&& wait, CoWait&& co_wait) {
    auto fiber = spawn({.name = "one that blocks"}, wait);
    auto coroutine = weft::co::spawn({.name = "one that suspends"}, co_wait);
    all_blocked();
    const std::string text = text_of_dump();
    fiber.request_cancel();
    coroutine.request_cancel();
    fiber.join();
    coroutine.join();
    return text;
  }

  static void expect_both(const std::string& text, const std::string& wait) {
    const std::string rest =
        ", for [0-9]+\\.[0-9] s; spawned by fiber [0-9]+ at [^\n]*dump_test.cpp:";
    EXPECT_THAT(text, ContainsRegex("\"one that blocks\" \\(fiber [0-9]+\\) " + wait + rest));
    EXPECT_THAT(text, ContainsRegex("\"one that suspends\" \\(fiber [0-9]+\\) " + wait + rest));
  }
};

TEST_F(Dump, says_who_sleeps) {
  run([&] {
    expect_both(
        said_of([] { sleep_for(1h); }, []() -> task<> { co_await weft::co::sleep_for(1h); }),
        "sleeps");
  });
}

TEST_F(Dump, says_who_waits_for_the_end_of_whom) {
  run([&] {
    auto awaited = spawn([] { sleep_for(1h); });
    expect_both(said_of([&] { awaited.join(); }, [&]() -> task<> { co_await awaited.co_join(); }),
                "waits for the end of fiber " +
                    std::to_string(static_cast<std::uint64_t>(awaited.get_id())));
  });
}

TEST_F(Dump, says_who_waits_for_a_mutex) {
  run([&] {
    weft::mutex taken;
    const std::lock_guard hold{taken};
    std::error_code ec;
    expect_both(said_of([&] { taken.lock(ec); }, [&]() -> task<> { co_await taken.co_lock(ec); }),
                "waits for mutex 0x[0-9a-f]+");
  });
}

TEST_F(Dump, says_who_waits_for_a_condition) {
  run([&] {
    weft::mutex guard;
    weft::condition_variable changed;
    expect_both(said_of(
                    [&] {
                      std::unique_lock hold{guard};
                      changed.wait(hold);
                    },
                    [&]() -> task<> {
                      std::unique_lock hold = co_await guard.co_scoped_lock();
                      co_await changed.co_wait(hold);
                    }),
                "waits for a notification of condition 0x[0-9a-f]+");
  });
}

TEST_F(Dump, says_who_waits_for_a_semaphore_and_for_an_event) {
  run([&] {
    weft::semaphore none{0};
    expect_both(said_of([&] { none.acquire(); }, [&]() -> task<> { co_await none.co_acquire(); }),
                "waits for semaphore 0x[0-9a-f]+");
    weft::event never;
    expect_both(said_of([&] { never.wait(); }, [&]() -> task<> { co_await never.co_wait(); }),
                "waits for event 0x[0-9a-f]+");
  });
}

TEST_F(Dump, says_who_waits_at_which_side_of_a_channel) {
  run([&] {
    weft::channel<int> empty;
    expect_both(said_of([&] { empty.receive(); }, [&]() -> task<> { co_await empty.co_receive(); }),
                "waits to receive from channel 0x[0-9a-f]+");
    expect_both(said_of([&] { empty.send(1); }, [&]() -> task<> { co_await empty.co_send(1); }),
                "waits to send to channel 0x[0-9a-f]+");
  });
}

TEST_F(Dump, says_who_waits_for_a_group) {
  run([&] {
    expect_both(said_of(
                    [] {
                      weft::task_group group;
                      group.spawn([] { sleep_for(1h); });
                      group.join();
                    },
                    []() -> task<> {
                      weft::task_group group;
                      group.spawn([] { sleep_for(1h); });
                      co_await group.co_join();
                    }),
                "waits for the tasks of group 0x[0-9a-f]+");
  });
}

TEST_F(Dump, says_who_waits_for_one_of_several) {
  run([&] {
    weft::detail::wait_queue queue;
    auto several = spawn({.name = "several"}, [&] {
      weft::detail::composite_wait::entry place;
      weft::detail::composite_wait wait;
      queue.lock.lock();
      wait.publish(place, queue.list, queue.lock);
      wait.wait(weft::detail::no_deadline, weft::detail::cancellation::honoured);
    });
    all_blocked();
    EXPECT_THAT(text_of_dump(), ContainsRegex("\"several\" [^\n]* waits for one of several, for "));
    queue.wake_one(weft::detail::wake_reason::ready);
    several.join();
  });
}

TEST_F(Dump, says_since_when) {
  run([&] {
    auto sleeper = spawn({.name = "sleeper"}, [] { sleep_for(1h); });
    sleep_for(350ms);

    const std::string text = text_of_dump();

    // Not less; how much more, the machine says.
    const std::string before = " sleeps, for ";
    const std::size_t at = text.find(before, text.find("\"sleeper\""));
    ASSERT_NE(at, std::string::npos) << text;
    EXPECT_GE(std::stod(text.substr(at + before.size())), 0.3);
    sleeper.request_cancel();
    sleeper.join();
  });
}

TEST_F(Dump, tells_of_fibers_that_run_are_ready_or_have_not_started) {
  run([&] {
    auto nameless = spawn([] {});

    const std::string text = text_of_dump();

    EXPECT_THAT(text, ContainsRegex("^runtime [0-9]+, worker 0: 1 fibers\n"));
    EXPECT_THAT(text, ContainsRegex("\n  \"main\" \\(fiber [0-9]+\\) runs\n"));
    EXPECT_THAT(text,
                ContainsRegex("\n  fiber [0-9]+ has not started; spawned by fiber [0-9]+ at "));
    nameless.join();
  });
}

TEST_F(Dump, tells_of_all_workers_and_who_was_spawned_by_a_thread) {
  weft::runtime instance{{.workers = 2}};
  instance.run([&] {
    weft::event done;
    std::thread thread([&] { instance.post([&] { done.wait(); }); });
    thread.join();
    auto other = weft::spawn_on(1, {.name = "other"}, [&] { done.wait(); });
    const auto both_wait = testing::AllOf(
        ContainsRegex("fiber [0-9]+ waits for event 0x[0-9a-f]+, for [0-9.]+ s; spawned at "),
        ContainsRegex("\"other\" [^\n]* waits for event [^\n]* s; spawned by fiber "));
    std::string text;
    while (!testing::Matches(both_wait)(text = text_of_dump())) sleep_for(1ms);

    EXPECT_THAT(text, ContainsRegex("worker 0: 1 fibers\n"));
    EXPECT_THAT(text, ContainsRegex("worker 1: 1 fibers\n"));
    done.set();
    other.join();
  });
}

// Tasks of all kinds begin, wait and end on both workers, with names, while one looks.
TEST_F(Dump, may_look_while_tasks_come_and_go_on_other_workers) {
  run(
      [] {
        std::atomic<bool> enough = false;
        auto other = weft::spawn_on(1, [&] {
          while (!enough) {
            auto here = spawn({.name = "a fiber"}, [] { weft::this_fiber::yield(); });
            auto there = weft::spawn_on(0, {.name = "a fiber there"}, [] {});
            auto suspends = weft::co::spawn([]() -> task<> { co_await weft::co::yield(); });
            auto suspends_there = weft::co::spawn_on(
                0, {.name = "a coroutine there"}, []() -> task<> { co_await weft::co::yield(); });
            suspends_there.join();
            there.join();
            here.join();
            suspends.join();
          }
        });
        for (int i = 0; i < weft::test::stress_operations / 100; ++i) {
          EXPECT_THAT(text_of_dump(), HasSubstr("\"main\""));
          weft::this_fiber::yield();
        }
        enough = true;
        other.join();
      },
      {.workers = 2});
}

// ---- on SIGQUIT --------------------------------------------------------------------------------

using DumpDeath = Dump;

void run_and_raise() {
  weft::run([] {
    auto shop = spawn({.name = "shop"}, [] { sleep_for(1h); });
    all_blocked();
    std::raise(SIGQUIT);
    shop.request_cancel();
    shop.join();
  });
  std::_Exit(7);
}

TEST_F(DumpDeath, sigquit_has_it_printed_where_the_environment_asks_for_it) {
  enter_death_test();
  EXPECT_EXIT(
      {
        ::setenv("WEFT_DEBUG", "other,dump", 1);
        run_and_raise();
      },
      testing::ExitedWithCode(7), "\"shop\" \\(fiber [0-9]+\\) sleeps, for ");
}

// Deep enough that no more than the frame of a signal would fit.
[[gnu::noinline]] void raise_deep_in_the_stack() {
  std::array<volatile char, 7 * 1024> used;
  used[0] = 1;
  std::raise(SIGQUIT);
  used[used.size() - 1] = used[0];
}

TEST_F(DumpDeath, sigquit_needs_no_room_on_the_stack_of_a_fiber) {
  enter_death_test();
  EXPECT_EXIT(
      {
        const weft::dump_on_quit wanted;
        weft::run(
            [] { spawn({.name = "small", .stack_size = 1}, raise_deep_in_the_stack).join(); });
        std::_Exit(7);
      },
      testing::ExitedWithCode(7), "\"small\" \\(fiber [0-9]+\\) runs");
}

task<> await_for_ever() {
  weft::event never;
  co_await never.co_wait();
}

TEST_F(DumpDeath, of_a_fiber_in_block_on_that_polls_for_its_worker_sigquit_shows_where_it_awaits) {
  enter_death_test();
  EXPECT_EXIT(
      {
        const weft::dump_on_quit wanted;
        const pthread_t main_thread = ::pthread_self();
        std::thread asks{[main_thread] {
          std::this_thread::sleep_for(200ms);
          ::pthread_kill(main_thread, SIGQUIT);
          std::this_thread::sleep_for(200ms);
          std::_Exit(7);
        }};
        weft::run([] { weft::co::block_on(await_for_ever()); });
        asks.join();
      },
      testing::ExitedWithCode(7), "waits for event (.|\n)*    awaits at [^\n]*dump_test.cpp:");
}

TEST_F(DumpDeath, sigquit_ends_the_process_where_nobody_asks) {
  enter_death_test();
  EXPECT_EXIT(
      {
        ::setenv("WEFT_DEBUG", "dumps", 1);
        run_and_raise();
      },
      testing::KilledBySignal(SIGQUIT), "");
}

TEST_F(DumpDeath, sigquit_stays_with_a_program_that_handles_it) {
  enter_death_test();
  EXPECT_EXIT(
      {
        std::signal(SIGQUIT, [](int) { std::_Exit(3); });
        const weft::dump_on_quit wanted;
        std::raise(SIGQUIT);
      },
      testing::ExitedWithCode(3), "");
}

TEST_F(DumpDeath, sigquit_ends_the_process_again_once_the_last_request_is_gone) {
  enter_death_test();
  EXPECT_EXIT(
      {
        std::optional<weft::dump_on_quit> first{std::in_place};
        { const weft::dump_on_quit second; }
        std::raise(SIGQUIT);
        std::fputs("still there\n", stderr);
        first.reset();
        std::raise(SIGQUIT);
      },
      testing::KilledBySignal(SIGQUIT), "still there");
}

}  // namespace
