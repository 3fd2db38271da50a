// What weft-compare makes of samples: cells, ratios, marks, the table, the JSON object; and the
// names of its cases.
#include <stdexcept>
#include <utility>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "report_json.hpp"
#include "report_markdown.hpp"
#include "report_table.hpp"
#include "source_texts.hpp"
#include "summary.hpp"
#include "text.hpp"

namespace weft::compare {
namespace {

constexpr const char* callbacks = baseline_server;
constexpr const char* threads = "threads";

// A comparison of two servers in one case, filled sample by sample.
struct CompareSummary : testing::Test {
  void add(const char* server, std::uint32_t round, double cpu_ns) {
    sample one;
    one.case_name = load.name();
    one.server = server;
    one.round = round;
    one.cpu_ns_per_request = cpu_ns;
    one.requests_per_second = 1000;
    one.p50_us = 10;
    one.p99_us = 20;
    measured.samples.push_back(one);
  }

  // Ten rounds whose costs drift, as on a machine that gets hotter; the ratio does not.
  void add_rounds(double ratio) {
    for (std::uint32_t round = 1; round <= 10; ++round) {
      const double base = 1000 * round;
      add(callbacks, round, base);
      add(threads, round, base * ratio * (round % 2 == 0 ? 1.01 : 0.99));
    }
  }

  cell of(const char* server) const {
    for (const cell& each : summarise(wanted, measured, false)) {
      if (each.server == server) return each;
    }
    throw std::out_of_range(server);
  }

  std::string table() const {
    return table_report(wanted, measured, summarise(wanted, measured, false));
  }

  nlohmann::json json() const {
    return nlohmann::json::parse(
        json_report(settings, where, cores, wanted, measured, summarise(wanted, measured, false)));
  }

  load_case load = parse_case("64x64");
  plan wanted{{load}, {find_server(callbacks), find_server(threads)}, {}, {}};
  campaign_result measured;
  options settings;
  environment where;
  core_plan cores{{0}, {1}};
};

TEST_F(CompareSummary, compares_servers_round_by_round) {
  add_rounds(2);

  const auto ratio = of(threads).ratio;

  ASSERT_TRUE(ratio);
  EXPECT_NEAR(ratio->median, 2, 0.001);
  EXPECT_NEAR(ratio->low, 1.98, 0.001);
  EXPECT_NEAR(ratio->high, 2.02, 0.001);
  EXPECT_EQ(ratio->count, 10U);
}

TEST_F(CompareSummary, has_no_ratio_of_the_baseline_to_itself) {
  add_rounds(2);

  EXPECT_FALSE(of(callbacks).ratio);
}

TEST_F(CompareSummary, has_no_ratio_without_the_baseline_in_the_same_round) {
  add(callbacks, 1, 1000);
  add(threads, 2, 2000);

  EXPECT_FALSE(of(threads).ratio);
}

TEST_F(CompareSummary, calls_a_difference_within_its_interval_equal) {
  add_rounds(1);

  EXPECT_NE(table().find("1.00 [0.99, 1.01] equal"), std::string::npos) << table();
  EXPECT_TRUE(json()["cells"][1]["ratio_to_callbacks"]["equal"]);
}

TEST_F(CompareSummary, shows_a_difference_beyond_its_interval_as_a_number) {
  add_rounds(2);

  EXPECT_NE(table().find("2.00 [1.98, 2.02]"), std::string::npos) << table();
  EXPECT_FALSE(json()["cells"][1]["ratio_to_callbacks"]["equal"]);
}

TEST_F(CompareSummary, leaves_disturbed_samples_out_while_most_are_quiet) {
  add_rounds(2);
  for (sample& each : measured.samples) {
    if (each.round > 2) continue;
    each.disturbed = true;
    *each.cpu_ns_per_request *= each.server == threads ? 100 : 1;
  }

  EXPECT_NEAR(of(threads).ratio->high, 2.02, 0.001);
  EXPECT_EQ(of(threads).disturbed, 2U);
  EXPECT_TRUE(of(threads).valid.cpu);
}

TEST_F(CompareSummary, marks_a_cell_whose_samples_were_mostly_disturbed) {
  add_rounds(2);
  for (sample& each : measured.samples) each.disturbed = each.round > 2;

  EXPECT_FALSE(of(threads).valid.cpu);
  EXPECT_FALSE(of(threads).valid.throughput);
  EXPECT_NE(table().find("! others used the cores"), std::string::npos) << table();
}

TEST_F(CompareSummary, keeps_the_cpu_time_when_the_client_was_the_bottleneck) {
  add_rounds(2);
  for (sample& each : measured.samples) each.client_bottleneck = true;

  const validity valid = of(threads).valid;

  EXPECT_TRUE(valid.cpu);
  EXPECT_FALSE(valid.throughput);
  EXPECT_FALSE(valid.latency);
  EXPECT_NE(table().find("1,000 *"), std::string::npos) << table();
}

TEST_F(CompareSummary, doubts_throughput_and_latency_on_a_single_core) {
  add_rounds(2);

  const cell on_one_core = summarise(wanted, measured, true).front();

  EXPECT_TRUE(on_one_core.valid.cpu);
  EXPECT_FALSE(on_one_core.valid.throughput);
}

TEST_F(CompareSummary, tells_why_a_server_has_no_numbers) {
  add(callbacks, 1, 1000);
  sample broken;
  broken.case_name = load.name();
  broken.server = threads;
  broken.error = "compare-threads was killed by signal 11 under load";
  measured.samples.push_back(broken);

  EXPECT_EQ(of(threads).failure, broken.error);
  EXPECT_NE(table().find("threads: " + broken.error), std::string::npos) << table();
  EXPECT_EQ(json()["cells"][1]["failure"], broken.error);
}

TEST_F(CompareSummary, calls_a_sample_without_cpu_time_no_failure) {
  add_rounds(2);
  sample& last = measured.samples.back();
  last.error = "others used the cores: no message came back in the time";
  last.starved = last.disturbed = true;

  EXPECT_EQ(of(threads).failed, 0U);
  EXPECT_EQ(of(threads).samples, 9U);
  EXPECT_NE(table().find("left no CPU time: 1"), std::string::npos) << table();
}

TEST_F(CompareSummary, tells_that_some_samples_failed) {
  add_rounds(2);
  measured.samples.back().error = "connections broke: 3 ECONNRESET";

  EXPECT_NE(table().find("1 of 10 samples failed"), std::string::npos) << table();
}

TEST_F(CompareSummary, shows_a_missing_server_in_every_case) {
  wanted.missing_servers.push_back({"fibers", "there is no program compare-fibers"});

  EXPECT_NE(table().find("fibers: there is no program"), std::string::npos) << table();
  EXPECT_FALSE(json()["cells"][2]["valid"]["cpu"]);
}

TEST_F(CompareSummary, has_all_that_a_cell_promises_in_json) {
  add_rounds(2);

  const auto cell_of_threads = json()["cells"][1];

  for (const char* field :
       {"server", "connections", "message_bytes", "depth", "rounds", "cpu_ns_per_request",
        "requests_per_second", "p50_us", "p99_us", "p999_us", "max_us", "rss_bytes_per_connection",
        "kernel_bytes_per_connection", "ratio_to_callbacks", "valid"}) {
    EXPECT_TRUE(cell_of_threads.contains(field)) << field;
  }
  EXPECT_TRUE(cell_of_threads["rss_bytes_per_connection"].is_null());
  EXPECT_EQ(cell_of_threads["intervals"]["cpu_ns_per_request"].size(), 3U);
  EXPECT_EQ(json()["samples"].size(), 20U);
}

TEST_F(CompareSummary, measures_tasks_against_fibers) {
  load = parse_case("spawn-100");
  wanted = {{load}, {find_server("fibers"), find_server(threads)}, {}, {}};
  for (std::uint32_t round = 1; round <= 10; ++round) {
    add("fibers", round, 100 * round);
    add(threads, round, 300 * round);
  }

  EXPECT_NEAR(of(threads).ratio->median, 3, 0.001);
  EXPECT_FALSE(of("fibers").ratio);
  EXPECT_TRUE(json()["cells"][1]["ratio_to_callbacks"].is_null());
  EXPECT_NEAR(json()["cells"][1]["ratio_to_fibers"]["median"], 3, 0.001);
  EXPECT_NE(table().find("ratio to fibers"), std::string::npos) << table();
}

TEST_F(CompareSummary, compares_parked_tasks_by_their_memory) {
  load = parse_case("parked-100");
  wanted = {{load}, {find_server("fibers"), find_server("coroutines")}, {}, {}};
  for (std::uint32_t round = 1; round <= 10; ++round) {
    for (const auto& [name, bytes] :
         {std::pair{"fibers", 4000.0}, std::pair{"coroutines", 500.0}}) {
      add(name, round, 1000);
      measured.samples.back().cpu_ns_per_request.reset();
      measured.samples.back().rss_bytes_per_connection = bytes;
    }
  }

  EXPECT_NEAR(of("coroutines").ratio->median, 0.125, 0.001);
  EXPECT_NE(table().find("500 B"), std::string::npos) << table();
}

TEST_F(CompareSummary, has_no_row_of_tasks_for_a_server_without_them) {
  load = parse_case("chain-3");
  wanted = {{load}, {find_server("fibers"), find_server(callbacks)}, {}, {{"thread-pool", "x"}}};

  EXPECT_EQ(summarise(wanted, measured, false).size(), 1U);
}

TEST_F(CompareSummary, marks_a_server_that_does_not_keep_up_with_the_rate) {
  load = parse_case("64x64@80");
  wanted.cases = {load};
  add_rounds(2);
  for (sample& each : measured.samples)
    each.offered_per_second = each.server == threads ? 2000 : 1010;

  EXPECT_TRUE(of(threads).behind);
  EXPECT_FALSE(of(callbacks).behind);
  EXPECT_NE(table().find("1,000 <"), std::string::npos) << table();
  EXPECT_NE(table().find("did not keep up"), std::string::npos) << table();
}

TEST_F(CompareSummary, names_the_command_that_measures_a_cell_again) {
  settings.rounds = 3;
  settings.seed = 11;
  add_rounds(2);

  const std::string command = json()["cells"][1]["command"];

  EXPECT_NE(command.find("weft-compare --cases 64x64 --only callbacks,threads --rounds 3"),
            std::string::npos)
      << command;
  EXPECT_NE(command.find("--seed 11"), std::string::npos) << command;
}

// The part of a document that a run writes.
struct CompareMarkdown : CompareSummary {
  std::string part() const {
    return markdown_report(settings, where, cores, wanted, measured,
                           summarise(wanted, measured, false));
  }

  static std::size_t count(const std::string& text, const std::string& what) {
    std::size_t found = 0;
    for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; ++at) ++found;
    return found;
  }
};

TEST_F(CompareMarkdown, has_an_overview_and_a_table_for_each_case) {
  add_rounds(2);

  const std::string text = part();

  EXPECT_NE(text.find("| 64 connections x 64 B | 5.50 us | - | - | 2.00 [1.98, 2.02] |"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("### 64 connections x 64 B"), std::string::npos) << text;
  EXPECT_NE(text.find("| threads | 11.0 us | 2.00 [1.98, 2.02] | 1,000 |"), std::string::npos)
      << text;
}

TEST_F(CompareMarkdown, takes_the_place_of_the_part_of_an_earlier_run_and_leaves_the_rest) {
  add_rounds(2);
  const std::string first = with_part("# Results\n\nSome words.\n", part());
  const std::string document = first + "\n## Others\n";
  add(threads, 11, 5000);

  const std::string second = with_part(document, part());

  EXPECT_NE(second, document);
  EXPECT_TRUE(second.starts_with("# Results\n\nSome words.\n\n<!-- weft-compare: begin -->"));
  EXPECT_TRUE(second.ends_with("<!-- weft-compare: end -->\n\n## Others\n"));
  EXPECT_EQ(count(second, "weft-compare: begin"), 1U);
}

TEST(CompareSources, are_there_for_every_server_and_counted) {
  for (const server& each : all_servers()) {
    EXPECT_GT(lines_of_code(each.sources), 10U) << each.name;
    for (const std::string& path : each.sources) EXPECT_FALSE(text_of(path).empty()) << path;
    for (const std::string& path : each.shared) EXPECT_FALSE(text_of(path).empty()) << path;
  }
}

// The end of the first text in the line in which both are.
std::size_t end_in_line(const std::string& table, const std::string& line,
                        const std::string& text) {
  const std::size_t begin = table.find("\n  " + line) + 1;
  return table.find(text, begin) + text.size() - begin;
}

TEST_F(CompareSummary, keeps_ratios_below_each_other_whether_equal_or_not) {
  wanted.servers.push_back(find_server("fibers"));
  add_rounds(1);
  for (std::uint32_t round = 1; round <= 10; ++round) add("fibers", round, 2000 * round);

  const std::string text = table();

  EXPECT_EQ(end_in_line(text, threads, "1.01]"), end_in_line(text, "fibers", "2.00]")) << text;
  EXPECT_EQ(end_in_line(text, threads, "1,000"), end_in_line(text, "fibers", "1,000")) << text;
}

TEST(CompareRatio, has_its_median_even_when_it_may_be_equal) {
  EXPECT_EQ(ratio_text(estimate{1.05, 0.98, 1.17, 0.96, 6}), "1.05 [0.98, 1.17] equal");
  EXPECT_EQ(ratio_text(estimate{1.99, 1.95, 2.04, 0.96, 6}), "1.99 [1.95, 2.04]");
}

TEST(CompareRatio, of_a_single_round_has_no_interval) {
  EXPECT_EQ(ratio_text(estimate{1.234, 1.234, 1.234, 0, 1}), "1.23");
  EXPECT_EQ(ratio_text(std::nullopt), "-");
}

TEST(CompareCases, have_names_that_lead_back_to_them) {
  for (const extent each : {extent::quick, extent::standard, extent::full}) {
    for (const load_case& load : cases_of(each)) {
      EXPECT_EQ(parse_case(load.name()), load) << load.name();
    }
  }
}

TEST(CompareCases, are_read_from_what_a_user_types) {
  EXPECT_EQ(parse_case("64x16K"), (load_case{case_kind::echo, 64, 16384, 1}));
  EXPECT_EQ(parse_case("8x100x16"), (load_case{case_kind::echo, 8, 100, 16}));
  EXPECT_EQ(parse_case("churn-5"), (load_case{case_kind::churn, 5}));
  EXPECT_EQ(parse_case("idle-10000").title(), "10,000 idle connections");
  EXPECT_EQ(parse_case("1x64").title(), "1 connection x 64 B");
  EXPECT_EQ(parse_case("64x64@80"), (load_case{case_kind::echo, 64, 64, 1, 80}));
  EXPECT_EQ(parse_case("64x64@80").at_full_speed().name(), "64x64");
  EXPECT_EQ(parse_case("spawn-1000"), (load_case{case_kind::spawn, 1000}));
  EXPECT_EQ(parse_case("chain-16").title(), "give way to another task, 16 calls deep");
}

TEST(CompareCases, are_refused_with_what_is_accepted) {
  for (const char* name : {"",           "64",          "64x",           "0x64",    "64x64x",
                           "64x64x0",    "64x64x1x1",   "-1x64",         "churn-",  "idle-x",
                           "idle-0",     "64x99999999", "64x4194304K",   "quick",   "064x64",
                           "64x064",     "churn-010",   "64x64@",        "64x64@0", "64x64@401",
                           "64x64x2@80", "parked-0",    "spawn-2000000", "chain-x"}) {
    try {
      parse_case(name);
      ADD_FAILURE() << name;
    } catch (const std::invalid_argument& error) {
      EXPECT_NE(std::string{error.what()}.find("CONNECTIONSxBYTES"), std::string::npos) << name;
    }
  }
}

TEST(CompareText, is_made_for_people) {
  EXPECT_EQ(time_text(178), "178 ns");
  EXPECT_EQ(time_text(2910), "2.91 us");
  EXPECT_EQ(time_text(20'500'000), "20.5 ms");
  EXPECT_EQ(time_text(0), "0 ns");
  EXPECT_EQ(grouped(1'234'567), "1,234,567");
  EXPECT_EQ(grouped(-1234), "-1,234");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(duration_text(std::chrono::seconds{250}), "4 min 10 s");
  EXPECT_EQ(last_line("one\ntwo\n\n"), "two");
  EXPECT_EQ(last_line("\n"), "");
}

}  // namespace
}  // namespace weft::compare
