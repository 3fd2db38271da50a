#include "report_table.hpp"

#include <algorithm>
#include <cmath>
#include <string_view>

#include <fmt/format.h>

#include "text.hpp"

namespace weft::compare {
namespace {

using row = table_rows::value_type;

constexpr const char* none = "-";
constexpr const char* of_client = " *";
constexpr const char* of_strangers = " !";
constexpr const char* behind_mark = " <";
constexpr std::string_view equal_mark = " equal";

// Lays the rows out in columns: the first one to the left, the others to the right.
std::string lay_out(const table_rows& rows) {
  std::vector<std::size_t> width;
  for (const row& each : rows) {
    width.resize(std::max(width.size(), each.size()));
    for (std::size_t i = 0; i < each.size(); ++i) width[i] = std::max(width[i], each[i].size());
  }
  std::string text;
  for (const row& each : rows) {
    std::string line = fmt::format("  {:<{}}", each.front(), width.front());
    for (std::size_t i = 1; i < each.size(); ++i) {
      line += fmt::format("  {:>{}}", each[i], width[i]);
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

// Appends a mark, or as many blanks, so that the numbers of a column stay below each other.
std::string marked(const std::string& text, bool valid, const char* mark) {
  return text + (valid ? "  " : mark);
}

const char* mark_of(const cell& each) { return each.quiet ? of_client : of_strangers; }

template <typename Format>
std::string value_text(const std::optional<estimate>& value, Format format) {
  return value ? format(value->median) : none;
}

std::string number_text(double number) { return grouped(std::llround(number)); }

// As many blanks as the mark has where it is not, for the same reason.
std::string ratio_cell(const cell& each) {
  std::string text = each.server == baseline_of(each.load) ? "1" : ratio_text(each.ratio);
  if (!text.ends_with(equal_mark)) text.append(equal_mark.size(), ' ');
  return text;
}

std::string micros_text(double us) { return time_text(us * 1000); }

std::string bytes_text(double number) { return number_text(number) + " B"; }

row load_header(const load_case& load) {
  const bool churn = load.kind == case_kind::churn;
  row header{"server",
             churn ? "CPU/connection  " : "CPU/request  ",
             "ratio to callbacks",
             churn ? "connections/s  " : "requests/s  ",
             "p50  ",
             "p99  ",
             "load CPU"};
  if (load.rate_percent != 0) header.insert(header.end() - 1, "p99.9  ");
  return header;
}

row load_row(const cell& each) {
  const char* mark = mark_of(each);
  const bool kept_up = each.valid.throughput && !each.behind;
  row columns{each.server,
              marked(value_text(each.cpu_ns_per_request, time_text), each.valid.cpu, of_strangers),
              ratio_cell(each),
              marked(value_text(each.requests_per_second, number_text), kept_up,
                     each.behind && each.quiet ? behind_mark : mark),
              marked(value_text(each.p50_us, micros_text), each.valid.latency, mark),
              marked(value_text(each.p99_us, micros_text), each.valid.latency, mark),
              value_text(each.client_cpu_fraction,
                         [](double fraction) { return fmt::format("{:.0f} %", fraction * 100); })};
  if (each.load.rate_percent != 0) {
    columns.insert(columns.end() - 1,
                   marked(value_text(each.p999_us, micros_text), each.valid.latency, mark));
  }
  return columns;
}

row idle_row(const cell& each) {
  const auto percent = [](double fraction) { return fmt::format("{:.3f} %", fraction * 100); };
  return {
      each.server, value_text(each.rss_bytes_per_connection, bytes_text),
      marked(value_text(each.kernel_bytes_per_connection, bytes_text), each.quiet, of_strangers),
      value_text(each.server_threads, number_text), value_text(each.server_cpu_fraction, percent)};
}

row parked_row(const cell& each) {
  const auto exact = [](double number) { return fmt::format("{:.3f}", number); };
  return {each.server,
          marked(value_text(each.rss_bytes_per_connection, bytes_text), each.quiet, of_strangers),
          ratio_cell(each), value_text(each.mappings_per_connection, exact),
          value_text(each.server_threads, number_text)};
}

row task_row(const cell& each) {
  const auto exact = [](double number) { return fmt::format("{:.2f}", number); };
  return {each.server,
          marked(value_text(each.cpu_ns_per_request, time_text), each.valid.cpu, of_strangers),
          ratio_cell(each), value_text(each.allocations_per_request, exact)};
}

row header_of(const load_case& load) {
  switch (load.kind) {
  case case_kind::idle:
    return {"server", "RSS/connection", "kernel/connection +  ", "threads", "CPU of a core"};
  case case_kind::parked:
    return {"tasks", "RSS/task  ", "ratio to fibers", "mappings/task", "threads"};
  case case_kind::spawn: return {"tasks", "CPU/task  ", "ratio to fibers", "allocations/task"};
  case case_kind::chain: return {"tasks", "CPU/chain  ", "ratio to fibers", "allocations/chain"};
  default: return load_header(load);
  }
}

row row_of(const cell& each) {
  switch (each.load.kind) {
  case case_kind::idle: return idle_row(each);
  case case_kind::parked: return parked_row(each);
  case case_kind::spawn:
  case case_kind::chain: return task_row(each);
  default: return load_row(each);
  }
}

std::string case_table(const load_case& load, const std::vector<cell>& cells) {
  std::string text = load.title() + "\n";
  const table_rows rows = rows_of_case(load, cells);
  if (rows.size() > 1) text += lay_out(rows);
  for (const cell& each : cells) {
    if (each.load == load && !each.failure.empty()) {
      text += fmt::format("  {}: {}\n", each.server, each.failure);
    }
  }
  return text;
}

template <typename Condition>
bool any(const std::vector<cell>& cells, Condition condition) {
  return std::any_of(cells.begin(), cells.end(), condition);
}

std::string mark_notes(const std::vector<cell>& cells) {
  std::string text;
  if (any(cells, [](const cell& each) {
        return each.quiet && each.requests_per_second && !each.valid.throughput;
      })) {
    text +=
        "* the load was the bottleneck, or shared the only core: this tells more about weft-load "
        "than about\n  the server; CPU per request is not touched by that\n";
  }
  if (any(cells, [](const cell& each) { return !each.quiet; })) {
    text += "! others used the cores during most samples\n";
  }
  if (any(cells, [](const cell& each) { return each.behind; })) {
    text += "< fewer than were offered: the server did not keep up\n";
  }
  if (any(cells, [](const cell& each) { return each.kernel_bytes_per_connection.has_value(); })) {
    text += "+ of the whole system: slab, kernel stacks and page tables, both ends of a "
            "connection\n";
  }
  return text;
}

// What the interval of the ratios is, as far as the samples allowed.
std::string interval_note(const std::vector<cell>& cells) {
  std::size_t fewest = 0;
  for (const cell& each : cells) {
    if (!each.ratio) continue;
    fewest = fewest == 0 ? each.ratio->count : std::min(fewest, each.ratio->count);
  }
  if (fewest == 0) return {};
  const std::string what =
      "ratio: median of the ratios of CPU time (parked tasks: of memory) in the "
      "same round; equal:\n  the interval holds 1\n";
  if (fewest == 1) return what + "a single round gives no interval\n";
  if (fewest >= enough_values) return what + "[interval]: of the median, at 95 %\n";
  return what + fmt::format("[interval]: with fewer than {} rounds the smallest and largest ratio, "
                            "{:.0f} % for {} rounds\n",
                            enough_values, 100 * confidence_of_rank(fewest, 1), fewest);
}

std::string trouble_notes(const std::vector<cell>& cells) {
  std::string text;
  for (const cell& each : cells) {
    if (!each.failure.empty() || each.failed == 0) continue;
    text += fmt::format("{}, {}: {} of {} samples failed, the last one: {}\n", each.load.name(),
                        each.server, each.failed, each.failed + each.samples, each.last_error);
  }
  std::size_t starved = 0;
  for (const cell& each : cells) starved += each.starved;
  if (starved > 0) {
    text += fmt::format("samples without numbers, for others left no CPU time: {}\n", starved);
  }
  std::size_t disturbed = 0;
  for (const cell& each : cells) disturbed += each.disturbed;
  if (disturbed > 0) {
    text += fmt::format("samples disturbed by others: {}; they count only where most were\n",
                        disturbed);
  }
  return text;
}

}  // namespace

std::string time_text(double nanoseconds) {
  struct unit {
    double size;
    const char* name;
  };

  constexpr unit units[] = {{1e9, "s"}, {1e6, "ms"}, {1e3, "us"}, {1, "ns"}};
  for (const unit& each : units) {
    if (nanoseconds < each.size && each.size > 1) continue;
    const double value = nanoseconds / each.size;
    const int decimals = value < 10 ? 2 : (value < 100 ? 1 : 0);
    return fmt::format("{:.{}f} {}", value, each.size > 1 ? decimals : 0, each.name);
  }
  return none;
}

std::string ratio_text(const std::optional<estimate>& ratio) {
  if (!ratio) return none;
  if (ratio->count < 2) return fmt::format("{:.2f}", ratio->median);
  return fmt::format("{:.2f} [{:.2f}, {:.2f}]{}", ratio->median, ratio->low, ratio->high,
                     ratio->may_be(1) ? equal_mark : "");
}

table_rows rows_of_case(const load_case& load, const std::vector<cell>& cells) {
  table_rows rows{header_of(load)};
  for (const cell& each : cells) {
    if (each.load == load && each.failure.empty()) rows.push_back(row_of(each));
  }
  return rows;
}

std::string notes_of_tables(const campaign_result& measured, const std::vector<cell>& cells) {
  std::string text = mark_notes(cells) + interval_note(cells) + trouble_notes(cells);
  if (!measured.replaced.empty()) {
    text +=
        fmt::format("samples disturbed by others and taken again: {}\n", measured.replaced.size());
  }
  if (measured.stopped_by != 0) text += "interrupted: this is what was measured until then\n";
  if (measured.out_of_time) {
    text += fmt::format("the time of this run was over after {} complete rounds; --rounds takes as "
                        "long as it takes\n",
                        measured.rounds);
  }
  return text;
}

std::string table_report(const plan& wanted, const campaign_result& measured,
                         const std::vector<cell>& cells) {
  std::string text;
  for (const load_case& each : wanted.cases) text += fmt::format("\n{}", case_table(each, cells));
  for (const omission& each : wanted.skipped_cases) {
    text += fmt::format("\n{}: skipped, {}\n", each.name, each.reason);
  }
  return text + "\n" + notes_of_tables(measured, cells);
}

}  // namespace weft::compare
