#include "options.hpp"

#include <algorithm>
#include <cstdint>
#include <random>
#include <stdexcept>
#include <string_view>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include <weft/tools/command_line.hpp>

namespace weft::compare {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view footer =
    "Servers: {}.\n"
    "Cases: CONNECTIONSxBYTES[xDEPTH] such as 64x64, 64x16K or 64x64x16; "
    "CONNECTIONSxBYTES@PERCENT\n"
    "of the capacity; churn-CONNECTIONS; idle-CONNECTIONS; parked-TASKS, spawn-TASKS, "
    "chain-DEPTH.\n"
    "--list tells what they are, and which of the servers are there.\n"
    "Exit codes: 0 all was measured that is installed and that others left CPU time for; 1 a "
    "server\n"
    "of --only is missing, a server or a sample failed, or nothing could be measured;\n"
    "2 a bad argument; 130 ended by Ctrl-C, 143 by SIGTERM, after the table of what was "
    "measured.\n";

// What --quick, --full or neither mean where nothing else was asked for.
struct defaults {
  std::uint32_t rounds;
  double seconds;
  double warm_up;
  // The last report needs a moment too.
  std::optional<std::chrono::seconds> budget;
};

constexpr std::uint32_t warm_up_rounds = 3;

defaults defaults_of(extent how_much) {
  switch (how_much) {
  case extent::quick: return {6, 0.3, 0.1, 57s};  // 6 rounds are the fewest that give an interval
  case extent::standard: return {10, 0.3, 0.1, 297s};
  case extent::full: break;
  }
  return {20, 1.0, 0.3, std::nullopt};
}

// The columns that --quick has time for.
constexpr std::string_view quick_servers[] = {"threads", "callbacks", "fibers", "coroutines"};

struct raw_options {
  bool quick = false;
  bool full = false;
  bool list = false;
  std::vector<std::string> cases;
  std::vector<std::string> connections;
  std::vector<std::string> servers;
  std::optional<std::uint32_t> rounds;
  std::optional<std::uint32_t> warm_up_rounds;
  std::optional<double> seconds;
  std::optional<double> warm_up;
  std::optional<std::uint64_t> seed;
  std::optional<std::string> json_file;
  std::optional<std::string> page_file;
  std::optional<std::string> results_file;
};

void add_files(tools::command_line& arguments, raw_options& raw) {
  arguments.add_text("--json", raw.json_file, "file for all samples and their summary")
      .checked(tools::not_empty("the name of a file"), "");
  arguments.add_text("--out", raw.page_file, "file for the report as a page of HTML")
      .checked(tools::not_empty("the name of a file"), "");
  arguments
      .add_text(
          "--results", raw.results_file,
          "file of Markdown, in which the part of an earlier run is replaced; with --full, of "
          "all cases, servers and rounds, it is bench/RESULTS.md of the sources unless "
          "another is named")
      .checked(tools::not_empty("the name of a file"), "");
}

void add_options(tools::command_line& arguments, raw_options& raw) {
  const auto quick = arguments.add_flag("--quick", raw.quick, "few cases; ends within 60 s");
  arguments.add_flag("--full", raw.full, "all cases, 20 rounds: the figures of the README")
      .excludes(quick);
  arguments.add_flag("--list", raw.list, "list the servers and the cases, and end");
  arguments.add_list("--cases", raw.cases, "cases to measure, separated by commas")
      .checked(tools::accepted_by([](const std::string& text) { parse_case(text); }), "CASE");
  arguments
      .add_list("--connections", raw.connections,
                "measure only the cases with so many connections, separated by commas")
      .checked(tools::accepted_by([](const std::string& text) { parse_connections(text); }),
               "NUMBER");
  arguments.add_list("--only", raw.servers, "servers to measure, separated by commas")
      .checked(tools::accepted_by([](const std::string& text) { find_server(text); }), "SERVER");
  arguments.add_number("--rounds", raw.rounds, {1, 100'000, "a whole number"},
                       "rounds; each measures every case on every server");
  arguments.add_number("--warm-up-rounds", raw.warm_up_rounds, {0, 1000, "a whole number"},
                       "rounds of short samples before them, which do not count");
  arguments.add_number("--seconds", raw.seconds, {0.05, 3600, "a number of seconds"},
                       "how long a sample measures");
  arguments.add_number("--warm-up", raw.warm_up, {0, 3600, "a number of seconds"},
                       "seconds of load before that");
  arguments.add_number("--seed", raw.seed, {0, UINT64_MAX, "a whole number"},
                       "seed of the order of the servers in each round");
  add_files(arguments, raw);
}

template <typename Item, typename NameOf>
void refuse_twice(const std::vector<Item>& items, const char* option, NameOf name_of) {
  for (std::size_t i = 0; i < items.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (name_of(items[i]) != name_of(items[j])) continue;
      throw tools::bad_argument(option + (": '" + name_of(items[i])) +
                                "' is there twice, each is accepted once");
    }
  }
}

void choose_cases(const raw_options& raw, options& settings) {
  for (const std::string& name : raw.cases) settings.cases.push_back(parse_case(name));
  if (raw.cases.empty()) settings.cases = cases_of(settings.how_much);
  refuse_twice(settings.cases, "--cases", [](const load_case& each) { return each.name(); });
  if (raw.connections.empty()) return;
  const auto without_case = [&] {
    return std::ranges::find_if(raw.connections, [&](const std::string& text) {
      return std::ranges::none_of(settings.cases, [&](const load_case& each) {
        return !is_task_load(each.kind) && each.connections == parse_connections(text);
      });
    });
  };
  // Who wants a number that only --full has need not measure the rest of that.
  if (raw.cases.empty() && without_case() != raw.connections.end()) {
    settings.cases = cases_of(extent::full);
  }
  if (const auto unknown = without_case(); unknown != raw.connections.end()) {
    throw tools::bad_argument("--connections: none of the cases has " + *unknown +
                              "; --list tells them, --cases measures others");
  }
  std::erase_if(settings.cases, [&](const load_case& each) {
    return is_task_load(each.kind) ||
           std::none_of(raw.connections.begin(), raw.connections.end(), [&](const auto& text) {
             return parse_connections(text) == each.connections;
           });
  });
}

void choose_servers(const raw_options& raw, options& settings) {
  for (const std::string& name : raw.servers) settings.servers.push_back(find_server(name));
  settings.servers_are_named = !raw.servers.empty();
  refuse_twice(settings.servers, "--only", [](const server& each) { return each.name; });
  if (!raw.servers.empty()) return;
  if (!raw.quick) {
    settings.servers = all_servers();
  } else {
    for (const std::string_view name : quick_servers) {
      settings.servers.push_back(find_server(std::string{name}));
    }
  }
}

// Nothing where the program has outlived the sources that it was built from.
std::optional<std::string> results_of_sources() {
  const std::string folder = WEFT_COMPARE_SOURCES "/bench";
  return ::access(folder.c_str(), W_OK) == 0 ? std::optional{folder + "/RESULTS.md"} : std::nullopt;
}

void finish(const raw_options& raw, options& settings) {
  settings.how_much = raw.quick ? extent::quick : (raw.full ? extent::full : extent::standard);
  const defaults standard = defaults_of(settings.how_much);
  settings.rounds = raw.rounds.value_or(standard.rounds);
  settings.warm_up_rounds = raw.warm_up_rounds.value_or(warm_up_rounds);
  settings.seconds = std::chrono::duration<double>{raw.seconds.value_or(standard.seconds)};
  settings.warm_up = std::chrono::duration<double>{raw.warm_up.value_or(standard.warm_up)};
  settings.samples_are_as_long_as_asked = raw.seconds || raw.warm_up;
  settings.seed = raw.seed ? *raw.seed : std::random_device{}();
  settings.json_file = raw.json_file;
  settings.page_file = raw.page_file;
  settings.results_file = raw.results_file;
  // What is in the README comes from whole runs alone.
  const bool whole = raw.cases.empty() && raw.connections.empty() && raw.servers.empty() &&
                     !raw.rounds && !raw.seconds && !raw.warm_up && !raw.warm_up_rounds;
  if (raw.full && whole && !raw.results_file) settings.results_file = results_of_sources();
  settings.list = raw.list;
  if (raw.json_file && raw.json_file == raw.page_file) {
    throw tools::bad_argument("--out: '" + *raw.page_file +
                              "' is the file of --json too, another is accepted");
  }
  // Whoever says how many rounds, or how long, waits for them; --quick keeps its promise.
  if (raw.quick || (!raw.rounds && !raw.seconds && raw.cases.empty())) {
    settings.budget = standard.budget;
  }
  choose_cases(raw, settings);
  choose_servers(raw, settings);
}

}  // namespace

std::optional<int> parse_options(int argc, char** argv, options& settings) {
  tools::command_line arguments{
      "weft-compare", "Compares echo servers: CPU time per request, throughput, latency, memory."};
  arguments.set_footer(fmt::format(footer, server_names()));
  raw_options raw;
  add_options(arguments, raw);
  return arguments.parse(argc, argv, [&] { finish(raw, settings); });
}

}  // namespace weft::compare
