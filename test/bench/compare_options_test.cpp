// What weft-compare makes of its arguments before it measures: which cases and servers, how long a
// sample is, and which files are written.
#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "campaign.hpp"
#include "options.hpp"
#include "statistics.hpp"

namespace weft::compare {
namespace {

using namespace std::chrono_literals;

options parsed(std::vector<std::string> words) {
  std::string program = "weft-compare";
  std::vector<char*> arguments{program.data()};
  for (std::string& each : words) arguments.push_back(each.data());
  options settings;
  EXPECT_EQ(parse_options(static_cast<int>(arguments.size()), arguments.data(), settings),
            std::nullopt);
  return settings;
}

plan plan_of(const options& settings) {
  plan result;
  result.cases = settings.cases;
  result.servers = settings.servers;
  return result;
}

bench bench_of(const options& settings, interrupt& signals) {
  return {"", {{0}, {1}}, settings.seconds, settings.warm_up, signals};
}

TEST(CompareOptions, have_whole_runs_alone_written_where_the_readme_takes_its_table_from) {
  EXPECT_TRUE(parsed({"--full"}).results_file);
  EXPECT_TRUE(parsed({"--full", "--seed", "1", "--json", "x"}).results_file);
  for (const auto& part : std::vector<std::vector<std::string>>{{"--only", "fibers"},
                                                                {"--cases", "64x64"},
                                                                {"--connections", "8000"},
                                                                {"--rounds", "2"},
                                                                {"--seconds", "0.1"}}) {
    std::vector<std::string> words{"--full"};
    words.insert(words.end(), part.begin(), part.end());
    EXPECT_FALSE(parsed(words).results_file) << part.front();
    words.insert(words.end(), {"--results", "mine.md"});
    EXPECT_EQ(parsed(words).results_file, "mine.md") << part.front();
  }
}

TEST(CompareOptions, find_connections_that_only_a_full_run_has) {
  const options settings = parsed({"--connections", "8000"});

  ASSERT_EQ(settings.cases.size(), 1U);
  EXPECT_EQ(settings.cases.front().name(), "8000x64");
}

TEST(CompareOptions, shorten_the_samples_until_all_rounds_fit_into_the_time) {
  interrupt signals;
  options settings = parsed({});
  std::erase_if(settings.servers, [](const server& each) { return !each.package.empty(); });
  const plan wanted = plan_of(settings);
  bench setup = bench_of(settings, signals);

  shorten_samples(settings, wanted, setup);

  EXPECT_LT(setup.seconds, settings.seconds);
  EXPECT_GE(setup.seconds, 0.4 * settings.seconds);
  options unlimited = settings;
  unlimited.budget.reset();
  EXPECT_LE(expected_time_of(unlimited, wanted, setup), *settings.budget);
  EXPECT_LE(expected_time_of(settings, wanted, setup), *settings.budget);
}

TEST(CompareOptions, leave_rounds_enough_for_an_interval_with_all_peers_in_five_minutes) {
  interrupt signals;
  options settings = parsed({});
  const plan wanted = plan_of(settings);
  bench setup = bench_of(settings, signals);

  shorten_samples(settings, wanted, setup);

  settings.rounds = enough_values;
  settings.budget.reset();
  EXPECT_LE(expected_time_of(settings, wanted, setup), 297s);
}

TEST(CompareOptions, that_say_how_long_a_sample_is_are_obeyed) {
  interrupt signals;
  const options settings = parsed({"--quick", "--seconds", "7"});
  bench setup = bench_of(settings, signals);

  shorten_samples(settings, plan_of(settings), setup);

  EXPECT_EQ(setup.seconds, 7s);
}

}  // namespace
}  // namespace weft::compare
