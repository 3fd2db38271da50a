#include "report_markdown.hpp"

#include <algorithm>
#include <cmath>
#include <string_view>

#include <fmt/format.h>

#include "report_table.hpp"
#include "source_texts.hpp"
#include "text.hpp"

namespace weft::compare {
namespace {

constexpr std::string_view begin_mark = "<!-- weft-compare: begin -->\n";
constexpr std::string_view end_mark = "<!-- weft-compare: end -->\n";
constexpr std::string_view overview_begin = "<!-- overview: begin -->\n";
constexpr std::string_view overview_end = "<!-- overview: end -->\n";
constexpr const char* overview_columns[] = {"callbacks", "fibers", "coroutines", "threads"};
constexpr const char* none = "-";

std::string trimmed(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(' ');
  if (begin == std::string::npos) return {};
  return text.substr(begin, text.find_last_not_of(' ') + 1 - begin);
}

std::string lay_out(const table_rows& rows) {
  std::string text;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::string line = "|";
    for (const std::string& each : rows[i]) line += fmt::format(" {} |", trimmed(each));
    text += line + "\n";
    if (i == 0) {
      text += "|---|";
      for (std::size_t column = 1; column < rows[0].size(); ++column) text += "---:|";
      text += "\n";
    }
  }
  return text;
}

const cell* find(const std::vector<cell>& cells, const load_case& load, std::string_view server) {
  const auto found = std::find_if(cells.begin(), cells.end(), [&](const cell& each) {
    return each.load == load && each.server == server && each.failure.empty();
  });
  return found == cells.end() ? nullptr : &*found;
}

template <typename Text>
table_rows::value_type overview_row(const std::string& title, const load_case& load,
                                    const std::vector<cell>& cells, Text text) {
  table_rows::value_type row{title};
  for (const char* column : overview_columns) {
    const cell* const each = find(cells, load, column);
    row.push_back(each == nullptr ? none : text(*each));
  }
  return row;
}

std::string cpu_or_ratio(const cell& each) {
  if (each.server != baseline_server) return ratio_text(each.ratio);
  return each.cpu_ns_per_request ? time_text(each.cpu_ns_per_request->median) : none;
}

// What README.md shows: CPU time of the callbacks, ratios of the others; memory of idle
// connections.
std::string overview(const plan& wanted, const std::vector<cell>& cells) {
  table_rows rows{{"load"}};
  rows[0].insert(rows[0].end(), std::begin(overview_columns), std::end(overview_columns));
  for (const load_case& load : wanted.cases) {
    if (is_task_load(load.kind) || load.rate_percent != 0) continue;
    if (load.kind != case_kind::idle) {
      rows.push_back(overview_row(load.title(), load, cells, cpu_or_ratio));
      continue;
    }
    const std::string count = grouped(load.connections);
    rows.push_back(overview_row("memory of an idle connection, of " + count + " (RSS)", load, cells,
                                [](const cell& each) {
                                  const auto& value = each.rss_bytes_per_connection;
                                  return value ? grouped(std::llround(value->median)) + " B" : none;
                                }));
    rows.push_back(overview_row(
        "CPU of the server while those are idle", load, cells, [](const cell& each) -> std::string {
          const auto& value = each.server_cpu_fraction;
          return value ? fmt::format("{:.3f} %", value->median * 100) : none;
        }));
  }
  return fmt::format("{}{}{}", overview_begin, lay_out(rows), overview_end);
}

// The names of cases or servers, separated by commas.
template <typename All, typename Name>
std::string names_of(const All& all, Name name) {
  std::string names;
  for (const auto& each : all) names += (names.empty() ? "" : ",") + name(each);
  return names;
}

// What each does, as far as servers of one protocol may differ.
std::string table_of_servers(const plan& wanted) {
  table_rows rows{{"server", "waits by", "read buffer of 8,192 B", "stack", "sockets", "lines"}};
  for (const server& each : wanted.servers) {
    rows.push_back({each.name, each.waits_by, each.buffer, each.stack, each.options,
                    std::to_string(lines_of_code(each.sources))});
  }
  return "\n### The servers\n\nEach sends back what it has read before it reads again.\n\n" +
         lay_out(rows);
}

std::string how_to_repeat(const options& settings, const plan& wanted) {
  return fmt::format("    build/release/bin/weft-compare --cases {} --only {} --rounds {} "
                     "--seconds {} --warm-up {} --warm-up-rounds {} --seed {}\n",
                     names_of(wanted.cases, [](const load_case& each) { return each.name(); }),
                     names_of(wanted.servers, [](const server& each) { return each.name; }),
                     settings.rounds, settings.seconds.count(), settings.warm_up.count(),
                     settings.warm_up_rounds, settings.seed);
}

}  // namespace

std::string markdown_report(const options& settings, const environment& where,
                            const core_plan& cores, const plan& wanted,
                            const campaign_result& measured, const std::vector<cell>& cells) {
  std::string text{begin_mark};
  text += "## Servers under load\n\n";
  text += fmt::format("{}\n{}; {} rounds, median of the ratios in the same round with its "
                      "interval, of which the end of this part says more:\n\n{}\n{}",
                      where.text(), cores.text(), measured.rounds, overview(wanted, cells),
                      how_to_repeat(settings, wanted));
  text += table_of_servers(wanted);
  for (const load_case& load : wanted.cases) {
    text += fmt::format("\n### {}\n\n", load.title());
    const table_rows rows = rows_of_case(load, cells);
    if (rows.size() > 1) text += lay_out(rows);
    for (const cell& each : cells) {
      if (each.load != load || each.failure.empty()) continue;
      text += fmt::format("\n{}: {}\n", each.server, each.failure);
    }
  }
  for (const omission& each : wanted.skipped_cases) {
    text += fmt::format("\n{}: skipped, {}\n", each.name, each.reason);
  }
  return fmt::format("{}\n```\n{}```\n{}", text, notes_of_tables(measured, cells), end_mark);
}

std::string with_part(const std::string& document, const std::string& part) {
  const std::size_t begin = document.find(begin_mark);
  const std::size_t end = document.find(end_mark, begin);
  if (begin == std::string::npos || end == std::string::npos) {
    return document + (document.empty() || document.ends_with("\n\n") ? "" : "\n") + part;
  }
  return document.substr(0, begin) + part + document.substr(end + end_mark.size());
}

}  // namespace weft::compare
