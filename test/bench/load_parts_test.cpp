// The parts of weft-load that can be checked without a server: histogram, pacing, report,
// pattern, addresses.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "histogram.hpp"
#include "pacing.hpp"
#include "pattern.hpp"
#include "report.hpp"
#include "source_addresses.hpp"
#include "target.hpp"

namespace {

using namespace std::chrono_literals;
using namespace weft::load;
using std::chrono::nanoseconds;

constexpr double percents[] = {0, 1, 10, 50, 90, 99, 99.9, 99.99, 100};

// The nearest-rank percentile of the sorted values themselves.
std::int64_t exact_percentile(const std::vector<std::int64_t>& sorted, double percent) {
  const double rank = std::ceil(percent / 100 * static_cast<double>(sorted.size()));
  return sorted[static_cast<std::size_t>(std::max(rank, 1.0)) - 1];
}

std::vector<std::int64_t> random_durations(std::size_t count, unsigned seed) {
  std::mt19937_64 random(seed);
  std::lognormal_distribution<double> latency(11, 2);  // around 60 us, with a long tail
  std::vector<std::int64_t> values(count);
  for (auto& value : values) value = static_cast<std::int64_t>(latency(random));
  return values;
}

TEST(LoadHistogram, percentiles_are_less_than_one_percent_off) {
  std::vector<std::int64_t> values = random_durations(100'000, 7);
  histogram counts;

  for (const auto value : values) counts.record(nanoseconds(value));

  std::sort(values.begin(), values.end());
  for (const double percent : percents) {
    const auto exact = static_cast<double>(exact_percentile(values, percent));
    const auto found = static_cast<double>(counts.percentile(percent).count());
    EXPECT_NEAR(found, exact, exact * 0.01) << percent;
  }
  EXPECT_EQ(counts.count(), values.size());
  EXPECT_EQ(counts.max().count(), values.back());
}

TEST(LoadHistogram, small_values_are_exact) {
  histogram counts;

  for (int i = 1; i <= 200; ++i) counts.record(nanoseconds(i));

  EXPECT_EQ(counts.percentile(50).count(), 100);
  EXPECT_EQ(counts.percentile(99).count(), 198);
  EXPECT_EQ(counts.percentile(100).count(), 200);
}

TEST(LoadHistogram, every_magnitude_stays_within_one_percent) {
  for (unsigned bit = 0; bit < 63; ++bit) {
    for (const std::uint64_t extra : {std::uint64_t{0}, (std::uint64_t{1} << bit) - 1}) {
      const auto value = static_cast<std::int64_t>((std::uint64_t{1} << bit) + extra);
      histogram counts;

      counts.record(nanoseconds(value));
      counts.record(nanoseconds::max());

      const auto found = static_cast<double>(counts.percentile(50).count());
      EXPECT_NEAR(found, static_cast<double>(value), static_cast<double>(value) * 0.01);
    }
  }
}

TEST(LoadHistogram, adding_two_is_counting_all_in_one) {
  const auto first = random_durations(5'000, 1);
  const auto second = random_durations(3'000, 2);
  histogram left;
  histogram right;
  histogram both;

  for (const auto value : first) left.record(nanoseconds(value)), both.record(nanoseconds(value));
  for (const auto value : second) right.record(nanoseconds(value)), both.record(nanoseconds(value));
  left.add(right);

  EXPECT_EQ(left.count(), both.count());
  EXPECT_EQ(left.max(), both.max());
  for (const double percent : percents) {
    EXPECT_EQ(left.percentile(percent), both.percentile(percent));
  }
}

TEST(LoadHistogram, an_even_series_is_counted_as_if_one_by_one) {
  for (const double step : {1.0, 7.5, 1e4, 2.5e6}) {
    histogram series;
    histogram one_by_one;
    constexpr std::uint64_t count = 20'000;
    const auto longest = nanoseconds(static_cast<std::int64_t>(step * count * 1.25));

    series.record_evenly(longest, step, count);
    for (std::uint64_t i = 0; i < count; ++i) {
      one_by_one.record(longest - nanoseconds(std::llround(static_cast<double>(i) * step)));
    }

    EXPECT_EQ(series.count(), count);
    EXPECT_EQ(series.max(), longest);
    for (const double percent : percents) {
      const auto exact = static_cast<double>(one_by_one.percentile(percent).count());
      const auto found = static_cast<double>(series.percentile(percent).count());
      EXPECT_NEAR(found, exact, exact * 0.01) << step << " " << percent;
    }
  }
}

TEST(LoadHistogram, a_series_that_reaches_zero_or_is_empty_ends) {
  histogram counts;

  counts.record_evenly(5ns, 1, 0);
  counts.record_evenly(5ns, 1, 10);
  counts.record_evenly(-5ns, 1, 3);

  EXPECT_EQ(counts.count(), 13u);
  EXPECT_EQ(counts.percentile(50), 0ns);
  EXPECT_EQ(counts.max(), 5ns);
}

// Counted one by one these would take an hour.
TEST(LoadHistogram, a_series_costs_no_more_for_being_long) {
  histogram counts;

  counts.record_evenly(1000s, 1, 1'000'000'000'000);

  EXPECT_EQ(counts.count(), 1'000'000'000'000u);
  EXPECT_NEAR(std::chrono::duration<double>(counts.percentile(50)).count(), 500, 5);
}

TEST(LoadHistogram, an_empty_one_has_zeros) {
  const histogram counts;

  EXPECT_EQ(counts.percentile(99), 0ns);
  EXPECT_EQ(counts.max(), 0ns);
}

TEST(LoadPacing, messages_start_evenly_over_connections_and_clients) {
  const time_point begin{};
  pacer first(1000, 5, 0, 2, begin);
  pacer second(1000, 5, 2, 3, begin);
  std::vector<std::int64_t> starts;

  for (int i = 0; i < 40; ++i, first.advance()) {
    starts.push_back((first.next_time() - begin) / 1us);
  }
  for (int i = 0; i < 60; ++i, second.advance()) {
    starts.push_back((second.next_time() - begin) / 1us);
  }

  std::sort(starts.begin(), starts.end());
  for (std::size_t i = 0; i < starts.size(); ++i) {
    EXPECT_EQ(starts[i], static_cast<std::int64_t>(i) * 1000);
  }
}

TEST(LoadPacing, a_connection_knows_how_many_of_its_messages_are_due) {
  pacer plan(10, 3, 0, 3, {});

  for (int i = 0; i < 4; ++i) plan.advance();

  EXPECT_EQ(plan.rounds_due(0), 2u);
  EXPECT_EQ(plan.rounds_due(1), 1u);
  EXPECT_EQ(plan.rounds_due(2), 1u);
  EXPECT_EQ(plan.next_index(), 1u);
  EXPECT_EQ(plan.next_time(), plan.intended(1, 1));
}

TEST(LoadPacing, the_rounds_before_a_time_are_those_that_are_to_start_before_it) {
  for (const double rate : {0.01, 3.0, 1e6 / 3, 1e9}) {
    const pacer plan(rate, 7, 2, 3, time_point{} + 1s);
    for (const std::uint64_t rounds : {0u, 1u, 2u, 1000u, 999'983u}) {
      for (const std::uint32_t index : {0u, 2u}) {
        const time_point next = plan.intended(index, rounds);
        EXPECT_EQ(plan.rounds_before(index, next), rounds) << rate;
        EXPECT_EQ(plan.rounds_before(index, next + 1ns), rounds + 1) << rate;
      }
    }
    EXPECT_EQ(plan.rounds_before(0, time_point{}), 0u);
  }
}

TEST(LoadPacing, skipping_leaves_a_step_for_every_connection) {
  pacer plan(1e9, 4, 0, 4, {});
  plan.advance();

  const time_point until = time_point{} + 1s;
  plan.skip_rounds(until);

  std::vector<int> visits(4);
  for (; plan.next_time() < until; plan.advance()) ++visits[plan.next_index()];
  for (std::uint32_t i = 0; i < 4; ++i) {
    EXPECT_GE(visits[i], 1);
    EXPECT_LE(visits[i], 2);
    EXPECT_EQ(plan.rounds_due(i), 250'000'000u);
  }
}

TEST(LoadPacing, skipping_never_goes_back) {
  pacer plan(10, 2, 0, 2, {});
  for (int i = 0; i < 6; ++i) plan.advance();

  plan.skip_rounds(time_point{} + 100ms);

  EXPECT_EQ(plan.rounds_due(0), 3u);
  EXPECT_EQ(plan.rounds_due(1), 3u);
}

// Ten messages were due: four came back, two did not, four never left.
run_result overloaded() {
  run_result result;
  tally& t = result.total;
  t.measured = 1s;
  t.intended = 10;
  t.completed = 4;
  t.unfinished = 6;
  t.unsent = 4;
  for (int i = 1; i <= 10; ++i) t.latency.record(i * 100us);
  return result;
}

TEST(LoadReport, tells_messages_that_never_came_back_from_those_never_sent) {
  options settings;
  settings.where = target::parse("127.0.0.1:80");
  settings.mode = load_mode::open;
  run_result result = overloaded();

  const std::string both = text_report(settings, result);
  result.total.unsent = 6;
  const std::string unsent = text_report(settings, result);

  EXPECT_NE(both.find("messages     4, 4/s"), std::string::npos) << both;
  EXPECT_NE(both.find("2 of 10 intended messages never came back, 4 of 10 intended messages were "
                      "never sent: "),
            std::string::npos)
      << both;
  EXPECT_EQ(unsent.find("never came back"), std::string::npos) << unsent;
  EXPECT_NE(unsent.find("6 of 10 intended messages were never sent: "), std::string::npos);
}

TEST(LoadReport, counts_the_unfinished_in_the_percentiles_but_not_as_messages) {
  options settings;
  settings.where = target::parse("127.0.0.1:80");
  settings.mode = load_mode::open;

  const auto report = nlohmann::json::parse(json_report(settings, overloaded()));

  EXPECT_EQ(report["messages"], 4);
  EXPECT_EQ(report["unfinished"], 6);
  EXPECT_EQ(report["unsent"], 4);
  EXPECT_EQ(report["latency_us"]["max"], 1000.0);
  EXPECT_NEAR(report["latency_us"]["p50"].get<double>(), 500, 5);
}

TEST(LoadReport, has_a_rate_that_is_of_the_messages_beside_it) {
  options settings;
  settings.where = target::parse("127.0.0.1:80");
  settings.mode = load_mode::open;
  run_result result = overloaded();
  result.total.completed = 7;
  result.total.overdue = 3;

  const std::string text = text_report(settings, result);
  const auto report = nlohmann::json::parse(json_report(settings, result));

  EXPECT_NE(text.find("messages     7, 7/s"), std::string::npos) << text;
  EXPECT_NE(text.find("3 of the 7 messages that came back in the measured time were to start "
                      "before it"),
            std::string::npos)
      << text;
  EXPECT_EQ(report["completed"], 7);
  EXPECT_EQ(report["overdue"], 3);
}

TEST(LoadReport, says_when_the_load_itself_was_the_bottleneck_and_what_helps) {
  weft::load::options settings;
  settings.clients = 3;
  const auto report_of = [&](double cpu, double wait) {
    weft::load::run_result result;
    result.total.cpu_fraction = cpu;
    result.total.wait_fraction = wait;
    return text_report(settings, result);
  };
  const std::string line = "weft-load itself was the bottleneck";

  EXPECT_EQ(report_of(0.5, 0.25).find(line), std::string::npos);
  EXPECT_NE(report_of(0.9, 0.05).find(line), std::string::npos) << report_of(0.9, 0.05);
  EXPECT_NE(report_of(0.9, 0.05).find("try --clients 6"), std::string::npos);
  EXPECT_NE(report_of(0.3, 0.6).find("try a core without other work"), std::string::npos);
}

TEST(LoadPattern, a_stream_goes_on_where_its_last_piece_ended) {
  const pattern bytes;
  const std::uint32_t phase = pattern::first_phase(12345);
  const std::size_t half = pattern::piece / 2;

  EXPECT_EQ(bytes.wrong_bytes({bytes.at(phase), pattern::piece}, phase), 0u);
  EXPECT_EQ(bytes.wrong_bytes({bytes.at(phase) + half, half}, pattern::advance(phase, half)), 0u);
}

TEST(LoadPattern, wrong_bytes_are_counted_one_by_one) {
  const pattern bytes;
  std::vector<std::byte> copy(bytes.at(0), bytes.at(0) + 1000);

  copy[3] ^= std::byte{1};
  copy[999] ^= std::byte{128};

  EXPECT_EQ(bytes.wrong_bytes(copy, 0), 2u);
}

TEST(LoadPattern, shifted_and_foreign_streams_do_not_match) {
  const pattern bytes;
  const std::uint32_t own = pattern::first_phase(1);

  for (std::size_t shift = 1; shift < 5000; ++shift) {
    EXPECT_GT(bytes.wrong_bytes({bytes.at(own) + shift, 64}, own), 0u) << shift;
  }
  for (std::uint64_t other = 2; other < 5000; ++other) {
    EXPECT_GT(bytes.wrong_bytes({bytes.at(pattern::first_phase(other)), 64}, own), 0u) << other;
  }
}

TEST(LoadSources, client_processes_use_different_addresses_of_the_loopback_network) {
  options settings;
  settings.where = target::parse("127.0.0.1:80");
  settings.clients = 3;
  std::vector<std::set<std::uint32_t>> used(3);

  for (unsigned client = 0; client < 3; ++client) {
    source_addresses sources(settings, client);
    // More than there are, so that the addresses come round again.
    for (int i = 0; i < 70'000; ++i) {
      const std::uint32_t address = ntohl(sources.next()->s_addr);
      EXPECT_EQ(address >> 24, 127u);
      used[client].insert(address);
    }
  }

  std::set<std::uint32_t> all;
  for (const auto& each : used) all.insert(each.begin(), each.end());
  EXPECT_EQ(all.size(), used[0].size() + used[1].size() + used[2].size());
  EXPECT_GT(all.size(), 60'000u);
}

TEST(LoadSources, few_connections_and_other_targets_leave_the_choice_to_the_kernel) {
  options few;
  few.where = target::parse("127.0.0.1:80");
  options other;
  other.where = target::parse("[::1]:80");
  other.mode = load_mode::churn;

  EXPECT_FALSE(source_addresses(few, 0).next());
  EXPECT_FALSE(source_addresses(other, 0).next());
}

TEST(LoadTarget, takes_the_documented_forms) {
  EXPECT_TRUE(target::parse("127.0.0.1:80").is_loopback_v4());
  EXPECT_TRUE(target::parse("localhost:65535").is_loopback_v4());
  EXPECT_FALSE(target::parse("10.0.0.1:80").is_loopback_v4());
  EXPECT_FALSE(target::parse("[::1]:1").is_loopback_v4());
  EXPECT_TRUE(target::parse("unix:/tmp/x").is_unix());
}

TEST(LoadTarget, refuses_everything_else) {
  for (const char* text : {"", ":", ":80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:+1",
                           "127.0.0.1:99999", "1.2.3:80", "[::1]", "[::1:80", "::1:80", "unix:"}) {
    EXPECT_THROW(target::parse(text), std::invalid_argument) << text;
  }
}

}  // namespace
