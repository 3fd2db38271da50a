// The model checker itself: it takes every interleaving, sees what fails one, and repeats it.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

#include <weft/fiber/detail/atomic.hpp>

#include "execution.hpp"
#include "schedule_point.hpp"
#include "strategy.hpp"

namespace {

using weft::detail::atomic;
using weft::model::check;
using weft::model::every_schedule;
using weft::model::execution;
using weft::model::given_schedule;
using weft::model::sleep_kind;
using weft::model::strategy;
using weft::model::time_point;

// Two threads, two accesses each.
std::uint64_t run_two_by_two(strategy& how) {
  execution threads{"two_by_two", how};
  atomic<int> shared{0};
  const auto twice = [&] {
    for (int i = 0; i < 2; ++i) shared.fetch_add(1);
  };
  threads.thread("first", twice);
  threads.thread("second", twice);
  threads.go();
  return threads.fingerprint();
}

std::size_t count_schedules(int preemptions) {
  every_schedule all{preemptions};
  std::set<std::uint64_t> seen;
  do seen.insert(run_two_by_two(all));
  while (all.next());
  return seen.size();
}

TEST(EverySchedule, takes_all_interleavings_of_two_threads) {
  EXPECT_EQ(count_schedules(0), 2u);
  EXPECT_EQ(count_schedules(1), 4u);
  EXPECT_EQ(count_schedules(3), 6u);  // 4! / (2! 2!)
}

TEST(EverySchedule, names_the_run_so_that_it_can_be_repeated) {
  every_schedule all{2};
  do {
    const auto first = run_two_by_two(all);
    const auto same = given_schedule(all.name());
    EXPECT_EQ(run_two_by_two(*same), first) << all.name();
  } while (all.next());
}

TEST(RandomSchedule, is_the_same_for_the_same_seed) {
  std::set<std::uint64_t> seen;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    const auto first = weft::model::random_schedule(seed, 4);
    const auto again = weft::model::random_schedule(seed, 4);
    const auto fingerprint = run_two_by_two(*first);
    EXPECT_EQ(run_two_by_two(*again), fingerprint) << seed;
    seen.insert(fingerprint);
  }
  EXPECT_EQ(seen.size(), 6u);
}

TEST(GivenSchedule, refuses_what_is_no_schedule) {
  for (const char* const wrong : {"1", "1=", "=1", "1=2=3", "x", "1=2,,3=4"}) {
    EXPECT_THROW(given_schedule(wrong), std::invalid_argument) << wrong;
  }
}

// ---- what fails a run --------------------------------------------------------------------------

class ModelCheckerDeath : public testing::Test {
protected:
  ModelCheckerDeath() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }

  // Takes all schedules of a model with at most one preemption.
  template <class Body>
  static void explore(Body body) {
    every_schedule all{1};
    do {
      execution threads{"small", all};
      body(threads);
    } while (all.next());
  }
};

TEST_F(ModelCheckerDeath, an_update_that_is_lost_is_found) {
  const auto add_without_care = [](execution& threads) {
    atomic<int> count{0};
    const auto add = [&] { count.store(count.load() + 1); };
    threads.thread("first", add);
    threads.thread("second", add);
    threads.go();
    check(count.load() == 2, "nothing is lost");
  };

  EXPECT_EXIT(explore(add_without_care), testing::ExitedWithCode(1),
              "first +load(.|\n)*second +load(.|\n)*it does not hold that nothing is lost");
}

TEST_F(ModelCheckerDeath, threads_that_wait_for_ever_are_found) {
  const auto sleep_for_nothing = [](execution& threads) {
    threads.thread("sleeper", [] { weft::model::sleep(sleep_kind::futex, 1, time_point::max()); });
    threads.go();
  };

  EXPECT_EXIT(explore(sleep_for_nothing), testing::ExitedWithCode(1), "nobody can go on");
}

TEST_F(ModelCheckerDeath, a_run_without_end_is_found) {
  const auto spin = [](execution& threads) {
    atomic<bool> never{false};
    threads.thread("spinner", [&] {
      while (!never.load()) {
      }
    });
    threads.go();
  };

  EXPECT_EXIT(explore(spin), testing::ExitedWithCode(1), "it does not end");
}

TEST_F(ModelCheckerDeath, an_access_to_what_is_gone_is_found) {
  const auto use_after_end = [](execution& threads) {
    atomic<int> shared{0};
    threads.thread("user", [&] { shared.fetch_add(1); });
    threads.thread("owner", [&] {
      shared.load();
      weft::model::forbid(&shared, sizeof shared);
    });
    threads.go();
    weft::model::permit(&shared, sizeof shared);
  };

  EXPECT_EXIT(explore(use_after_end), testing::ExitedWithCode(1),
              "user +access(.|\n)*it uses what is gone");
}

// The sanitizers find that themselves.
#ifndef WEFT_MODEL_SANITIZED
TEST_F(ModelCheckerDeath, an_access_to_what_was_deleted_is_found) {
  const auto use_after_delete = [](execution& threads) {
    auto shared = std::make_unique<atomic<int>>(0);
    atomic<int>& seen = *shared;
    threads.thread("user", [&] { seen.fetch_add(1); });
    threads.thread("owner", [&] { shared.reset(); });
    threads.go();
  };

  EXPECT_EXIT(explore(use_after_delete), testing::ExitedWithCode(1), "it uses what is gone");
}
#endif

TEST(Execution, a_deadline_passes_at_any_time_or_not_at_all) {
  every_schedule all{1};
  std::set<bool> outcomes;
  do {
    execution threads{"deadline", all};
    bool woken = false;
    threads.thread("sleeper", [&] {
      const auto deadline = weft::model::now() + std::chrono::milliseconds{1};
      woken = weft::model::sleep(sleep_kind::futex, 1, deadline);
      EXPECT_EQ(woken, weft::model::now() < deadline);
    });
    threads.thread("waker", [] {
      weft::model::before_access();
      weft::model::wake(sleep_kind::futex, 1, 1);
    });
    threads.go();
    outcomes.insert(woken);
  } while (all.next());

  EXPECT_EQ(outcomes.size(), 2u);
}

}  // namespace
