// Known bugs, twelve of our own and four of other libraries, are planted in the core one after the
// other: the models must find each, and must find nothing without them.
#include <iostream>
#include <set>
#include <span>
#include <string>

#include <gtest/gtest.h>

#include <weft/fiber/detail/planted.hpp>

#include "support/process.hpp"

namespace {

constexpr const char* weft_model = WEFT_BIN_DIR "/weft-model";

using weft::detail::bug;
using weft::test::process;

struct planted {
  bug which;
  const char* what;
  const char* model;
};

constexpr planted all[] = {
    {bug::deadline_readies_again, "boostorg/fiber#128", "condition"},
    {bug::notify_readies_again, "boostorg/fiber#259", "condition"},
    {bug::gap_before_wait, "boostorg/fiber#268", "unbuffered_channel"},
    {bug::stale_publication, "romange/helio#92", "wait_queue_of_fibers"},
    {bug::sleeps_although_woken, "a worker sleeps although it was woken", "inbox"},
    {bug::claim_ignores_generation, "a claim ends a later wait", "waiter"},
    {bug::double_wake, "a wake-up is delivered twice", "wait_queue_of_fibers"},
    {bug::leaked_count, "a count is lost with a deadline", "semaphore"},
    {bug::stale_event, "an event of a closed descriptor", "reused_number"},
    {bug::fiber_deaf_between_waits, "a woken fiber does not hear that it was cancelled",
     "wait_again_of_fiber"},
    {bug::thread_deaf_between_waits, "the same of a plain thread", "wait_again_of_thread"},
    {bug::leaves_before_told, "a scope goes while it is being cancelled", "cancel_and_leave"},
    {bug::gap_before_event, "an event before the wait for it is lost", "drained_descriptor"},
    {bug::frees_held_block, "a block goes while its lock is held", "fiber_end"},
    {bug::ends_while_cancelled, "a runtime goes while a fiber of it is cancelled",
     "cancel_beyond_run"},
    {bug::goes_beside_visitors, "a runtime goes while a spawn fails", "failed_spawn"},
};

// The last one in other calls.
constexpr planted beside_visitors[] = {
    {bug::goes_beside_visitors, "a runtime goes while it is stopped", "request_stop"},
    {bug::goes_beside_visitors, "a runtime goes while a fiber is woken", "inbox"},
};

// The same bugs, found by tasks that suspend; the others do not depend on what kind a task is.
constexpr planted in_coroutines[] = {
    {bug::deadline_readies_again, "boostorg/fiber#128", "condition_of_coroutine"},
    {bug::notify_readies_again, "boostorg/fiber#259", "condition_of_coroutine"},
    {bug::gap_before_wait, "boostorg/fiber#268", "channel_of_coroutines"},
    {bug::stale_publication, "romange/helio#92", "wait_queue_of_coroutines"},
    {bug::double_wake, "a wake-up is delivered twice", "wait_queue_of_coroutines"},
    {bug::leaked_count, "a count is lost with a deadline", "semaphore_of_coroutines"},
    {bug::fiber_deaf_between_waits, "a woken task does not hear that it was cancelled",
     "wait_again_of_coroutine"},
    {bug::stale_event, "an event of a closed descriptor", "reused_number_of_coroutine"},
    {bug::gap_before_event, "an event before the wait for it is lost",
     "drained_descriptor_of_coroutine"},
};

// Runs, not time: a loaded machine must find as much. Each bug takes a few hundred at most.
weft::test::process_result explore(const planted& each, int number) {
  return process::run({weft_model, "--model", each.model, "--plant", std::to_string(number),
                       "--runs", "6000", "--seconds", "200"},
                      std::chrono::seconds{250});
}

// Returns how many of `bugs` their models have found; fails the test for each of the others.
int count_caught(std::span<const planted> bugs) {
  int caught = 0;
  for (const planted& each : bugs) {
    const auto result = explore(each, static_cast<int>(each.which));
    const std::string expected = std::string{"model "} + each.model + " failed: ";
    const bool found = result.exit_code != 0 && result.err.find(expected) != std::string::npos;
    EXPECT_TRUE(found) << each.what << ", by the model " << each.model << ": exit code "
                       << result.exit_code << '\n'
                       << result.out << result.err;
    caught += found ? 1 : 0;
  }
  return caught;
}

TEST(PlantedBugs, every_one_is_caught) {
  const int caught = count_caught(all);

  std::cout << "planted bugs caught: " << caught << " of " << std::size(all) << '\n';
  EXPECT_EQ(std::size(all), static_cast<std::size_t>(weft::detail::bug_count));
}

TEST(PlantedBugs, those_that_concern_how_a_task_waits_are_caught_in_coroutines) {
  const int caught = count_caught(in_coroutines);

  std::cout << "planted bugs caught in coroutines: " << caught << " of " << std::size(in_coroutines)
            << '\n';
}

TEST(PlantedBugs, a_runtime_that_does_not_wait_for_who_calls_it_is_caught_in_each_call) {
  EXPECT_EQ(count_caught(beside_visitors), static_cast<int>(std::size(beside_visitors)));
}

TEST(PlantedBugs, without_them_the_same_models_find_nothing) {
  std::set<std::string> models;
  for (const planted& each : all) models.insert(each.model);
  for (const planted& each : in_coroutines) models.insert(each.model);
  for (const planted& each : beside_visitors) models.insert(each.model);

  for (const std::string& each : models) {
    const auto result = explore({bug::none, "none", each.c_str()}, 0);
    EXPECT_EQ(result.exit_code, 0) << each << '\n' << result.err;
  }
}

// What a failure prints is enough to have it again, with the same trace.
TEST(PlantedBugs, a_failed_schedule_is_repeated_by_its_name) {
  const auto first = explore(all[7], static_cast<int>(bug::leaked_count));
  const std::string before = "--seed ";
  const auto begin = first.err.find(before);
  ASSERT_NE(begin, std::string::npos) << first.err;
  const auto end = first.err.find('\n', begin);
  const std::string seed = first.err.substr(begin + before.size(), end - begin - before.size());

  const auto again =
      process::run({weft_model, "--model", all[7].model, "--plant",
                    std::to_string(static_cast<int>(bug::leaked_count)), "--seed", seed});

  EXPECT_EQ(again.exit_code, 1);
  EXPECT_NE(again.err.find("failed: "), std::string::npos) << again.err;
  EXPECT_NE(again.err.find("schedule " + seed + ';'), std::string::npos) << again.err;
}

}  // namespace
