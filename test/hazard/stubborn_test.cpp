// Tasks that go on whatever they are told: for (;;) try { wait } catch (...) {}. They are named,
// let others run, and end the process if the end of a run does not end them.
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include <weft/co.hpp>
#include <weft/net.hpp>

#include "hazard/forked.hpp"
#include "hazard/waits.hpp"

namespace {

using namespace std::chrono_literals;
using namespace weft::test;
using weft::this_fiber::yield;

// Calls that are refused in a row until a line says so, and some more.
constexpr int refusals = 1'000;
constexpr int enough = 2 * refusals;

using Wait = std::tuple<kind_of_wait, half>;

class Stubborn : public runtime_test, public testing::WithParamInterface<Wait> {
protected:
  static const kind_of_wait& kind() { return std::get<0>(GetParam()); }

  static bool is_coroutine() { return std::get<1>(GetParam()) == half::coroutines; }
};

std::string name_of_case(const testing::TestParamInfo<Wait>& info) {
  return std::string{std::get<0>(info.param).name} + "_of_" + name_of(std::get<1>(info.param));
}

INSTANTIATE_TEST_SUITE_P(Waits, Stubborn,
                         testing::Combine(testing::ValuesIn(all_kinds_of_wait),
                                          testing::ValuesIn(both_halves)),
                         name_of_case);

// Until it has been refused so often.
void go_on(const kind_of_wait& kind, awaited_things& all, int& caught, int most) {
  while (caught < most) {
    try {
      kind.wait(all);
    } catch (...) {
      ++caught;
    }
  }
}

weft::co::task<> co_go_on(const kind_of_wait& kind, awaited_things& all, int& caught, int most) {
  while (caught < most) {
    try {
      co_await kind.co_wait(all);
    } catch (...) {
      ++caught;
    }
  }
}

TEST_P(Stubborn, tasks_are_named_after_1000_refusals_and_others_run_meanwhile) {
  run([] {
    awaited_things all;
    int caught = 0;
    auto stubborn =
        is_coroutine() ? weft::co::spawn({.name = "mule"},
                                         [&] { return co_go_on(kind(), all, caught, enough); })
                       : weft::spawn({.name = "mule"}, [&] { go_on(kind(), all, caught, enough); });
    weft::testing::all_blocked();
    ASSERT_FALSE(stubborn.done());
    int turns_of_others = 0;
    stubborn.request_cancel();
    while (!stubborn.done()) {
      yield();
      ++turns_of_others;
    }
    stubborn.join();

    EXPECT_EQ(caught, enough);
    // It gives way after 64 calls, as whoever does not wait.
    EXPECT_GE(turns_of_others, enough / 64);
  });
  expect_one_line(take_diagnostics(), {"\"mule\"", "1,000"});
}

// ---- at the end of a run -----------------------------------------------------------------------

using StubbornDeath = runtime_test;

std::string name_of_stubborn(const kind_of_wait& kind, half which) {
  return std::string{kind.name} + " of a " + name_of(which);
}

constexpr int for_ever = 2'000'000'000;

// So many that all come to a thousand refusals in the 5 s: an exception takes long under a
// sanitizer.
std::span<const kind_of_wait> kinds_that_are_left() {
  const std::span all{all_kinds_of_wait};
  return under_asan || under_tsan ? all.last(4) : all;
}

// The last line names ten of them.
bool is_last_line(const std::string& line) {
  const std::size_t count = kinds_that_are_left().size() * both_halves.size();
  const std::string rest = count > 10 ? " and " + std::to_string(count - 10) + " more" : "\"";
  return line.find("these fibers ignore for 5 s that they are cancelled: \"") !=
             std::string::npos &&
         line.ends_with(rest);
}

void leave_stubborn_tasks() {
  weft::run(
      [] {
        static std::vector<std::unique_ptr<awaited_things>> things;
        static std::vector<int> caught(2 * all_kinds_of_wait.size());
        std::size_t index = 0;
        for (const kind_of_wait& kind : kinds_that_are_left()) {
          for (const half which : both_halves) {
            awaited_things& all = *things.emplace_back(std::make_unique<awaited_things>());
            int& count = caught[index++];
            const std::string name = name_of_stubborn(kind, which);
            const weft::spawn_options options{.name = name};
            if (which == half::coroutines) {
              weft::co::spawn(options, [&] {
                return co_go_on(kind, all, count, for_ever);
              }).detach();
            } else {
              weft::spawn(options, [&] { go_on(kind, all, count, for_ever); }).detach();
            }
          }
        }
        weft::testing::all_blocked();
      },
      {.workers = 1});
}

// Ends the process with 0 when the last line comes, if each task has been named before.
void expect_all_names(const std::string& line, std::set<std::string>& unnamed) {
  const auto begin = line.find('"');
  const auto end = line.find('"', begin + 1);
  if (line.find("goes on after 1,000 calls") != std::string::npos) {
    unnamed.erase(line.substr(begin + 1, end - begin - 1));
  } else if (is_last_line(line)) {
    for (const std::string& each : unnamed) std::fprintf(stderr, "not named: %s\n", each.c_str());
    std::_Exit(unnamed.empty() ? 0 : 1);
  } else {
    std::fprintf(stderr, "not expected: %s\n", line.c_str());
    std::_Exit(2);
  }
}

// The one test of this suite that waits for the 5 s.
TEST_F(StubbornDeath, tasks_in_every_kind_of_wait_end_the_process_with_their_names) {
  EXPECT_EXIT(
      {
        enter_death_test();
        std::set<std::string> unnamed;
        for (const kind_of_wait& kind : kinds_that_are_left()) {
          for (const half which : both_halves) unnamed.insert(name_of_stubborn(kind, which));
        }
        weft::set_diagnostics_sink(
            [&](std::string_view line) { expect_all_names(std::string{line}, unnamed); });
        leave_stubborn_tasks();
      },
      testing::ExitedWithCode(0), "");
}

// ---- tasks that are not stubborn ---------------------------------------------------------------

class Stopped : public fork_test {};

// Ctrl-Z and fg: the tasks have not had the 5 s in which to end.
TEST_F(Stopped, process_that_goes_on_lets_its_tasks_end) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  const pid_t child = fork_and([&] {
    weft::run(
        [&] {
          weft::semaphore shielded{0};
          const auto end_orderly = [&shielded] {
            const weft::shield orderly;
            shielded.release();
            weft::this_fiber::sleep_for(1s);
          };
          weft::spawn_on(1, end_orderly).detach();
          weft::spawn(end_orderly).detach();
          for (int i = 0; i < 2; ++i) shielded.acquire();
          require(::write(ends[1], "x", 1) == 1, "the parent is told");
        },
        {.workers = 2});
    ::_exit(EXIT_SUCCESS);
  });
  ASSERT_GT(child, 0);
  ::close(ends[1]);
  char told = 0;
  ASSERT_EQ(::read(ends[0], &told, 1), 1);
  std::this_thread::sleep_for(100ms);  // its main function has returned, most likely
  ::kill(child, SIGSTOP);
  std::this_thread::sleep_for(7s);
  ::kill(child, SIGCONT);

  EXPECT_EQ(end_of(child), 0);
  ::close(ends[0]);
}

}  // namespace
